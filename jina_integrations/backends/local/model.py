"""Loaded models, shared by every embedder of the process that needs the same weights."""

from __future__ import annotations

import logging
import os
import threading
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING

from ...models import ModelCard
from ...settings import EmbedderSettings, Engine, Precision
from ...tokenizers.exact import TextTokenizer
from .engines.choice import EngineChoice, choose_engine
from .folder import read_config, read_folder, transformer_folder
from .source import ModelFiles, canonical_name, find_model, hash_files
from .tokenizer import load_tokenizer
from .turns import Turns

if TYPE_CHECKING:
    from .engines.base import TokenEncoder

__all__ = ["LoadedEncoder", "LocalModel", "shared_model", "unload_model"]

_log = logging.getLogger("jina_integrations")


@dataclass(frozen=True, slots=True)
class _ModelKey:
    """What two embedders must have in common to share a model's files and tokenizer.

    Attributes:
        model: Id of a card, resolved folder, or hub id: one name for each model.
    """

    model: str
    revision: str | None
    trust_remote_code: bool


@dataclass(frozen=True, slots=True, eq=False)
class LoadedEncoder:
    """Weights on a device.

    Attributes:
        encoder: Runs them.
        turns: The threads in which they run.
    """

    encoder: TokenEncoder
    turns: Turns


class LocalModel:
    """The files, tokenizer and weights of one model, each loaded at first use, once.

    Weights are there once for each engine, device and precision. Everything here may raise a
    `ModelError`; a failed load is tried again at the next call.
    """

    def __init__(self, key: _ModelKey) -> None:
        self._key = key
        self._lock = threading.RLock()
        self._choices: dict[tuple[Engine, str, Precision], EngineChoice] = {}
        self._encoders: dict[tuple[str, str, Precision], LoadedEncoder] = {}

    @cached_property
    def _files(self) -> ModelFiles:
        return find_model(
            self._key.model,
            revision=self._key.revision,
            trust_remote_code=self._key.trust_remote_code,
        )

    @cached_property
    def _card(self) -> ModelCard:
        card = self._files.card or read_folder(self._files.folder, self._key.model)
        if not card.commercial:
            _log.warning(
                "%s is licensed %s: its weights are not for commercial use", card.id, card.licence
            )
        return card

    @cached_property
    def _identity(self) -> str:
        return hash_files(self._files.folder)

    @cached_property
    def _tokenizer(self) -> TextTokenizer:
        card = self._card
        prefix = card.tasks["passage"].prefix if "passage" in card.tasks else ""
        return TextTokenizer(load_tokenizer(self._weights_folder, self._key.model), prefix)

    @property
    def _weights_folder(self) -> Path:
        return transformer_folder(self._files.folder)

    @property
    def card(self) -> ModelCard:
        """The model's row, or what its folder says."""
        with self._lock:
            return self._card

    @property
    def identity(self) -> str:
        """Hash of the files that decide a vector."""
        with self._lock:
            return self._identity

    @property
    def tokenizer(self) -> TextTokenizer:
        """The tokenizer."""
        with self._lock:
            return self._tokenizer

    def encoder(self, settings: EmbedderSettings) -> LoadedEncoder:
        """The weights, on the engine and device and in the precision that `choose` gives."""
        with self._lock:
            choice = self.choose(settings)
            key = choice.engine, choice.device, choice.precision
            loaded = self._encoders.get(key)
            if loaded is None:
                turns = Turns()
                load = partial(self._load, choice)
                loaded = LoadedEncoder(turns.run(load, short=False, concurrent=False), turns)
                self._encoders[key] = loaded
                _log.info("%s runs on %s, %s, %s: %s", self.card.id, *key, choice.reason)
            return loaded

    def choose(self, settings: EmbedderSettings) -> EngineChoice:
        """What runs the model for these settings, and why; loads nothing.

        Raises:
            InvalidSettingError: the settings do not go together, or not with this model.
            MissingExtraError: what has to run the model is not installed.
        """
        asked = settings.engine, settings.device, settings.precision
        with self._lock:
            if asked not in self._choices:
                config = read_config(self._weights_folder)
                self._choices[asked] = choose_engine(settings, config, adapters=self._adapters)
            return self._choices[asked]

    @property
    def _adapters(self) -> list[str]:
        return sorted({scheme.adapter for scheme in self._card.tasks.values() if scheme.adapter})

    def _load(self, choice: EngineChoice) -> TokenEncoder:
        # In a thread of `Turns`, while the caller holds the lock: it must not ask for it again.
        if choice.engine == "onnx":
            from .engines.onnx import load_onnx_encoder

            return load_onnx_encoder(
                self._weights_folder,
                self._card,
                adapters=self._adapters,
                precision=choice.precision,
            )
        from .engines.torch_loading import load_encoder

        return load_encoder(
            self._weights_folder,
            self._card,
            adapters=self._adapters,
            device=choice.device,
            precision=choice.precision,
            trust_remote_code=self._key.trust_remote_code,
        )


_models: dict[_ModelKey, LocalModel] = {}
_models_lock = threading.Lock()


def _forget_after_fork() -> None:
    """A child must not use its parent's locks and thread pools; it loads its own model."""
    global _models_lock  # noqa: PLW0603  # a lock held by another thread never opens in the child
    _models_lock = threading.Lock()
    _models.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_after_fork)


def _key(settings: EmbedderSettings) -> _ModelKey:
    return _ModelKey(canonical_name(settings.model), settings.revision, settings.trust_remote_code)


def shared_model(settings: EmbedderSettings) -> LocalModel:
    """The process's one model for these settings; nothing is loaded yet.

    Not to be kept for longer than a call: a forked child has others, and `unload_model` ends them.
    """
    key = _key(settings)
    with _models_lock:
        return _models.setdefault(key, LocalModel(key))


def unload_model(settings: EmbedderSettings) -> None:
    """Forget the model, on all devices. Calls under way keep it until they are done."""
    with _models_lock:
        _models.pop(_key(settings), None)
