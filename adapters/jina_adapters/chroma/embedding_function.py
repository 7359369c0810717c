"""An embedding function for plain Chroma, see ``docs/chroma.md``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Unpack, cast

import numpy as np
from chromadb.api.models.AsyncCollection import AsyncCollection
from chromadb.api.models.Collection import Collection
from chromadb.api.types import Embeddable, EmbeddingFunction, Embeddings, Space
from chromadb.utils.embedding_functions import register_embedding_function

from jina_integrations import Embedder
from jina_integrations.errors import (
    CollectionNotFoundError,
    FingerprintMismatchError,
    InvalidImageError,
    InvalidInputError,
    InvalidSettingError,
    MissingExtraError,
    ModelLoadError,
)
from jina_integrations.framework import warn_once
from jina_integrations.settings import EmbedderOptions
from jina_integrations.stores.layout import INFO_KEY
from jina_integrations.types import FloatArray, Task

from .function_arguments import choose_model, choose_task, with_key_variable
from .function_config import (
    describe,
    differences,
    is_unit,
    own_word_needed,
    parse,
    parse_info,
)

if TYPE_CHECKING:
    import PIL.Image
    from pydantic import SecretStr

__all__ = ["JinaIntegrationsEmbeddingFunction"]


class JinaIntegrationsEmbeddingFunction(EmbeddingFunction[Embeddable]):
    """An `Embedder` for ``client.create_collection(…, embedding_function=…)``.

    Documents are embedded as passages, questions as queries. Construction is free, see `Embedder`;
    which backend ``"auto"`` means is settled by it. Chroma stores the settings with the
    collection, without a key, and rebuilds the function wherever this module was imported.

    Args:
        model: As for `Embedder`, or a ready one, which then takes no further settings but `task`.
        model_name: Another name of `model`. Without either it is ``"jina-embeddings-v2-base-en"``.
        api_key: As for `Embedder`. Never stored: elsewhere the key comes from the environment.
        api_key_env_var: The environment variable that holds the key; its name is stored, see
            `ApiSettings`. None also reads ``CHROMA_JINA_API_KEY``, after ``JINA_API_KEY``, for
            models that Jina serves.
        task: ``"text-matching"``, ``"classification"`` or ``"clustering"`` (``"separation"``) is
            used for documents and questions alike. ``"retrieval.passage"`` and
            ``"retrieval.query"`` are accepted and mean None: each side has its own.
        normalized: Another name of `normalize`.
        embedding_type: None or ``"float"``.
        query_config: ``{"task": …}``, the task of questions, which has to agree with `task`.
        options: The other settings of an `Embedder`; None is the default of each.

    Raises:
        InvalidSettingError: a setting is out of range or contradicts another.
        ModelError: the service does not have the model.
    """

    def __init__(
        self,
        model: str | Embedder | None = None,
        *,
        model_name: str | None = None,
        api_key: str | SecretStr | None = None,
        api_key_env_var: str | None = None,
        task: str | None = None,
        normalized: bool | None = None,
        embedding_type: str | None = None,
        query_config: Mapping[str, str] | None = None,
        **options: Unpack[EmbedderOptions],
    ) -> None:
        if embedding_type not in (None, "float"):
            raise InvalidSettingError(
                f"embedding_type={embedding_type!r}: Chroma stores floats; leave it out, or see "
                "Embedder.embed_binary for bits"
            )
        shared = choose_task(task, query_config)
        self._document_task: Task = shared or "passage"
        self._query_task: Task = shared or "query"
        given = cast("EmbedderOptions", {k: v for k, v in options.items() if v is not None})
        if normalized is not None and given.setdefault("normalize", normalized) != normalized:
            raise InvalidSettingError("normalized and normalize are one setting: give one")
        if isinstance(model, Embedder):
            if given or any((model_name, api_key, api_key_env_var)):
                raise InvalidSettingError(
                    "a ready Embedder has its settings: pass them to Embedder(…), or pass the "
                    "model's name"
                )
            self._embedder = model
        else:
            name = choose_model(model, model_name)
            given = with_key_variable(given, name, api_key_env_var)
            self._embedder = Embedder(name, api_key=api_key, **given)
        # An error of get_config() would be lost: chromadb makes a collection without a function.
        self._config = describe(self._embedder, shared)
        self._own_word_needed: str | None = None

    @property
    def embedder(self) -> Embedder:
        """The embedder itself, with its `usage`, `card` and `fingerprint`.

        Raises:
            ModelLoadError: Chroma rebuilt this function from a collection that says where texts
                are sent, or that code runs. A collection cannot decide that.
        """
        if self._own_word_needed is not None:
            raise ModelLoadError(
                f"the collection was made with a function that {self._own_word_needed}, and a "
                "collection cannot decide that: construct "
                "JinaIntegrationsEmbeddingFunction(…) with these settings, and pass it to "
                "get_collection(…, embedding_function=…)"
            )
        return self._embedder

    def __call__(self, input: Embeddable) -> Embeddings:  # noqa: A002 - chromadb checks the name
        """Vectors of passages, or of pictures: float32, in the order of the input.

        Args:
            input: Texts, or pictures as arrays of uint8: (height, width), or with 3 or 4 channels.

        Raises:
            ModelLoadError: see `embedder`.
            InvalidImageError: an array is no picture; carries its index.
            JinaIntegrationsError: see `Embedder.embed_documents` and `Embedder.embed_images`.
        """
        if self._embedder.settings.late_chunking:
            warn_once(
                "late_chunking=True has no effect on what a Chroma collection embeds by itself: it "
                "does not know which texts are of one document. To late-chunk, ingest(…) documents "
                "into a ChromaStore, and query that collection",
                stacklevel=4,
            )
        return list(self._embed(input, self._document_task))

    def embed_query(self, input: Embeddable) -> Embeddings:  # noqa: A002 - chromadb's name
        """Vectors of queries, or of pictures: float32, in the order of the input.

        Raises:
            JinaIntegrationsError: see `__call__`.
        """
        return list(self._embed(input, self._query_task))

    def _embed(self, items: object, task: Task) -> FloatArray:
        embedder = self.embedder
        listed = cast("list[object]", items if isinstance(items, list) else [])
        if any(isinstance(item, np.ndarray) for item in listed):
            return embedder.embed_images([_picture(item, at) for at, item in enumerate(listed)])
        return embedder.embed(cast("Sequence[str]", items), task=task)

    def check(self, collection: Collection | AsyncCollection) -> None:
        """Refuse a collection that was filled with other settings; loads nothing.

        Chroma itself compares names alone.

        Raises:
            FingerprintMismatchError: a setting that changes vectors differs.
            CollectionNotFoundError: neither such a function nor `ingest` made the collection.
        """
        where = f"Chroma collection {collection.name!r}"
        function: Mapping[str, Any] = collection.configuration_json.get("embedding_function") or {}
        info: object = (collection.metadata or {}).get(INFO_KEY)
        stored: list[Mapping[str, object]] = []
        if function.get("name") == self.name():
            stored.append(function["config"])
        if info is not None:
            stored.append(parse_info(info, where=where))
        if not stored:
            raise CollectionNotFoundError(
                f"{where} does not say how it was filled: neither jina-integrations' embedding "
                "function nor its ingest made it"
            )
        for config in stored:
            if differing := differences(config, self._config):
                raise FingerprintMismatchError(
                    f"{where} was filled with other settings: {differing}; use the collection's, "
                    "or a new collection"
                )

    def default_space(self) -> Space:
        """Cosine."""
        return "cosine"

    def supported_spaces(self) -> list[Space]:
        """All where vectors have norm 1, since all rank alike then; else cosine alone."""
        return ["cosine", "l2", "ip"] if is_unit(self._embedder.settings) else ["cosine"]

    @staticmethod
    def name() -> str:
        """What Chroma stores and finds the class by."""
        return "jina_integrations"

    def get_config(self) -> dict[str, Any]:
        """The settings as JSON values; no key is among them, and no device."""
        return dict(self._config)

    @staticmethod
    def build_from_config(config: dict[str, Any]) -> JinaIntegrationsEmbeddingFunction:
        """A function from `get_config`; needs no key before its first use.

        Raises:
            InvalidSettingError: an unknown or bad setting.
        """
        settings, task = parse(config)
        embedder = Embedder.from_dict(settings.to_dict())
        function = JinaIntegrationsEmbeddingFunction(embedder, task=task)
        function._own_word_needed = own_word_needed(settings)
        return function

    @staticmethod
    def validate_config(config: dict[str, Any]) -> None:
        """Accept what `get_config` gave.

        Raises:
            InvalidSettingError: an unknown or bad setting.
        """
        parse(config)

    def validate_config_update(
        self, old_config: dict[str, Any], new_config: dict[str, Any]
    ) -> None:
        """Accept settings that change no vector.

        Raises:
            FingerprintMismatchError: another model, backend, revision, precision, dimensions,
                normalisation, task, or treatment of long texts.
        """
        if differing := differences(old_config, new_config):
            raise FingerprintMismatchError(
                f"the collection was filled with other settings: {differing}; make a new "
                "collection for the new ones. Chroma has stored them before it asked: put the old "
                "function back with collection.modify(configuration={'embedding_function': …})"
            )

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, JinaIntegrationsEmbeddingFunction):
            return NotImplemented
        return self._config == other._config

    def __hash__(self) -> int:
        return hash(self._embedder.settings.model)

    def __repr__(self) -> str:
        task = self._config["task"]
        shown = f", task={task!r}" if task else ""
        return f"{type(self).__name__}({self._embedder!r}{shown})"


register_embedding_function(  # type: ignore[no-untyped-call]  # chromadb's has no annotations
    JinaIntegrationsEmbeddingFunction
)


def _picture(item: object, index: int) -> PIL.Image.Image:
    if not isinstance(item, np.ndarray):
        raise InvalidInputError(
            f"input has pictures, and input[{index}] is a {type(item).__name__}: embed texts in a "
            "call of their own",
            index=index,
        )
    try:
        import PIL.Image
    except ImportError as exc:
        raise MissingExtraError("A picture", "images") from exc
    refused = InvalidImageError(
        f"input[{index}] has shape {item.shape} and type {item.dtype}: a picture is uint8, "
        "(height, width) or (height, width, 3 or 4)",
        index=index,
    )
    if item.ndim < 2:  # which Pillow would take for a column
        raise refused
    try:
        return PIL.Image.fromarray(item)
    except (TypeError, ValueError) as exc:
        raise refused from exc
