"""What an embedder is beside its methods: settings, a key, usage, and how its calls run."""

from __future__ import annotations

import time
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal, Self, TypeVar, Unpack

from .backends import Backend
from .calls import Call
from .cards import ModelCard
from .engine import Engine
from .errors import InvalidSettingError
from .settings import EmbedderOptions, EmbedderSettings
from .tokenizer import Tokenizer
from .usage import Usage, UsageMeter

if TYPE_CHECKING:
    from pydantic import SecretStr

__all__ = ["EmbedderBase"]

_Result = TypeVar("_Result")


class EmbedderBase:
    """Settings that are pickled, compared and stored; what is known of the model; the runners."""

    def __init__(
        self,
        settings: EmbedderSettings,
        *,
        api_key: str | SecretStr | None = None,
        on_usage: Callable[[Usage], None] | None = None,
    ) -> None:
        self._engine = Engine(settings, _secret(api_key, settings))
        self._on_usage = on_usage
        self._meter = UsageMeter()

    @property
    def settings(self) -> EmbedderSettings:
        """What the embedder was asked for."""
        return self._engine.settings

    @property
    def backend(self) -> Literal["api", "local"]:
        """How the model is run; ``"auto"`` is decided at first use."""
        return self._engine.backend.kind

    @property
    def card(self) -> ModelCard:
        """The model's card: its row of `MODEL_CARDS`, or what its folder or server says.

        Its tasks and its late chunking are those that the backend has.
        """
        return self._ready().card

    @property
    def dimensions(self) -> int:
        """Length of every vector."""
        return self.settings.dimensions or self._ready().dimensions

    @property
    def normalized(self) -> bool:
        """Whether vectors have L2 norm 1."""
        return self._ready().normalized

    @property
    def late_chunking(self) -> bool:
        """Whether `ingest` encodes whole documents and pools their chunks."""
        return self._ready().late_chunking

    @property
    def context_weight(self) -> float:
        """Share of the late-chunking vector in `embed_chunks`, 0 to 1."""
        return self._ready().context_weight

    @property
    def tokenizer(self) -> Tokenizer:
        """By which chunkers count: the model's own, or an estimate (see `ApiSettings`)."""
        return self._engine.backend.tokenizer

    @property
    def fingerprint(self) -> str:
        """Hash of everything that changes a vector; equal embedders can share a collection."""
        return self._ready().fingerprint

    @property
    def usage(self) -> Usage:
        """What this embedder has cost so far."""
        return self._meter.total

    def _ready(self) -> Engine:
        if not self._engine.ready:
            call = Call()
            self._run(self._engine.prepare(call), call)
        return self._engine

    def _run(self, work: Coroutine[Any, Any, _Result], call: Call) -> _Result:
        start = time.perf_counter()
        try:
            return self._backend_for(work).run(work)
        finally:
            self._record(call, start)

    async def _arun(self, work: Coroutine[Any, Any, _Result], call: Call) -> _Result:
        start = time.perf_counter()
        try:
            return await self._backend_for(work).arun(work)
        finally:
            self._record(call, start)

    def _backend_for(self, work: Coroutine[Any, Any, object]) -> Backend:
        try:
            return self._engine.backend
        except BaseException:
            work.close()  # or Python warns of a coroutine that was never awaited
            raise

    def _record(self, call: Call, start: float) -> None:
        if call.usage.requests:
            usage = replace(call.usage, seconds=time.perf_counter() - start)
            self._meter.add(usage)
            if self._on_usage is not None:
                self._on_usage(usage)

    def replace(self, **changes: Unpack[EmbedderOptions]) -> Self:
        """An embedder with some settings changed, and the same key and `on_usage`; usage from 0.

        Raises:
            InvalidSettingError: a bad setting, or one that contradicts another.
        """
        embedder = type(self).__new__(type(self))
        settings = replace(self.settings, **changes)
        EmbedderBase.__init__(embedder, settings, api_key=self._engine.key, on_usage=self._on_usage)
        return embedder

    def to_dict(self) -> dict[str, object]:
        """The settings as JSON values, without a key; `from_dict` takes them back."""
        return self.settings.to_dict()

    @classmethod
    def from_dict(
        cls, values: Mapping[str, object], *, api_key: str | SecretStr | None = None
    ) -> Self:
        """An embedder from `to_dict`.

        Raises:
            InvalidSettingError: an unknown or bad setting.
        """
        if "model" not in values:
            raise InvalidSettingError("embedder settings need a 'model'")
        embedder = cls.__new__(cls)
        EmbedderBase.__init__(embedder, EmbedderSettings.from_dict(values), api_key=api_key)
        return embedder

    def __getstate__(self) -> dict[str, object]:
        return self.to_dict()

    def __setstate__(self, state: Mapping[str, object]) -> None:
        EmbedderBase.__init__(self, EmbedderSettings.from_dict(state))

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, EmbedderBase):
            return NotImplemented
        return self.settings == other.settings

    def __hash__(self) -> int:
        return hash(self.settings)

    def __repr__(self) -> str:
        defaults = EmbedderSettings(model=self.settings.model).to_dict()
        changed = {k: v for k, v in self.to_dict().items() if v != defaults[k]}
        options = "".join(f", {name}={value!r}" for name, value in changed.items())
        return f"{type(self).__name__}({self.settings.model!r}{options})"


def _secret(key: str | SecretStr | None, settings: EmbedderSettings) -> SecretStr | None:
    if key is None:
        return None
    from pydantic import SecretStr

    if settings.backend == "local":
        raise InvalidSettingError(
            "api_key is for the API, and backend='local' runs the model here: leave it out, or say "
            "backend='api'"
        )
    if not isinstance(key, str | SecretStr):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise InvalidSettingError(f"api_key must be a str or SecretStr, not {type(key).__name__}")
    return SecretStr(key) if isinstance(key, str) else key
