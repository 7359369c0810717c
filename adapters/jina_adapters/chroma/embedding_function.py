"""An embedding function for plain Chroma, see ``docs/chroma.md``."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, Unpack, cast

import numpy as np
from chromadb.api.models.AsyncCollection import AsyncCollection
from chromadb.api.models.Collection import Collection
from chromadb.api.types import Embeddable, EmbeddingFunction, Embeddings, Space
from chromadb.utils.embedding_functions import register_embedding_function

from jina_integrations import Embedder
from jina_integrations.adapting import SymmetricTask, embedder_of, read_task, warn_once
from jina_integrations.errors import (
    CollectionNotFoundError,
    InvalidImageError,
    InvalidInputError,
    InvalidSettingError,
    MissingExtraError,
    ModelLoadError,
    RecipeMismatchError,
)
from jina_integrations.recipe import Recipe
from jina_integrations.settings import EmbedderOptions
from jina_integrations.stores.base import INFO_KEY, CollectionInfo
from jina_integrations.types import FloatArray, Task

from .function_settings import describe, differences, is_unit, parse, untrusted

if TYPE_CHECKING:
    import PIL.Image
    from pydantic import SecretStr

__all__ = ["JinaIntegrationsEmbeddingFunction"]

_KEY: Final = re.compile(r"jina_\w{20,}")


class JinaIntegrationsEmbeddingFunction(EmbeddingFunction[Embeddable]):
    """An `Embedder` for ``client.create_collection(…, embedding_function=…)``.

    Documents are embedded as passages, questions as queries. Construction is free, see `Embedder`;
    which backend ``"auto"`` means is settled by it. Chroma stores the settings with the
    collection, without a key, and rebuilds the function wherever this module was imported.

    Args:
        model: As for `Embedder`, or a ready one, which then takes no further settings but `task`.
        task: ``"text-matching"``, ``"classification"`` or ``"clustering"`` (``"separation"``) is
            used for documents and questions alike; None gives each side its own.
        api_key: As for `Embedder`. Never stored: elsewhere the key comes from the environment.

    It also takes the other settings of an `Embedder` by name.

    Raises:
        InvalidSettingError: a setting is unknown, out of range or contradicts another.
        ModelError: the service does not have the model.
    """

    def __init__(
        self,
        model: str | Embedder,
        *,
        task: str | None = None,
        api_key: str | SecretStr | None = None,
        **options: Unpack[EmbedderOptions],
    ) -> None:
        if isinstance(model, str) and _KEY.fullmatch(model):
            raise InvalidSettingError(
                "the first argument is the model, and this looks like a key of Jina's API: pass it "
                "as api_key=…"
            )
        shared = None if task is None else _symmetric(task)
        self._document_task: Task = shared or "passage"
        self._query_task: Task = shared or "query"
        self._embedder = embedder_of(model, options, api_key=api_key)
        # An error of get_config() would be lost: chromadb makes a collection without a function.
        self._config = describe(self._embedder, shared)
        self._untrusted: str | None = None

    @property
    def embedder(self) -> Embedder:
        """The embedder itself, with its `usage`, `card` and `fingerprint`.

        Raises:
            ModelLoadError: Chroma rebuilt this function from a collection that says where texts
                are sent, or that code runs. A collection cannot decide that.
        """
        if self._untrusted is not None:
            raise ModelLoadError(
                f"the collection was made with a function that {self._untrusted}, and a "
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
                "does not know which texts are of one document. To late-chunk, ingest documents by "
                "jina_integrations.Collection, and query the collection that it fills",
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
            return embedder.embed_images(
                [_picture(item, index) for index, item in enumerate(listed)]
            )
        return embedder.embed(cast("Sequence[str]", items), task=task)

    def check(self, collection: Collection | AsyncCollection) -> None:
        """Refuse a collection that was filled with other settings; loads nothing.

        Chroma itself compares names alone.

        Raises:
            RecipeMismatchError: a setting that changes vectors differs.
            StoreCorruptError: what is stored cannot be read.
            CollectionNotFoundError: neither such a function nor an ingestion made the collection.
        """
        where = f"Chroma collection {collection.name!r}"
        function: Mapping[str, Any] = collection.configuration_json.get("embedding_function") or {}
        info: object = (collection.metadata or {}).get(INFO_KEY)
        stored: list[Mapping[str, object]] = []
        if function.get("name") == self.name():
            stored.append(function["config"])
        if info is not None:
            recipe = Recipe.from_dict(
                CollectionInfo.from_json(info, where=where).recipe, where=where
            )
            stored.append({**recipe.embedder, "task": None})
        if not stored:
            raise CollectionNotFoundError(
                f"{where} does not say how it was filled: neither jina-integrations' embedding "
                "function nor its ingestion made it"
            )
        for config in stored:
            if differing := differences(config, self._config):
                raise RecipeMismatchError(
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
        function._untrusted = untrusted(settings)
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
            RecipeMismatchError: another model, backend, revision, precision, dimensions,
                normalisation, task, or treatment of long texts.
        """
        if differing := differences(old_config, new_config):
            raise RecipeMismatchError(
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


def _symmetric(task: str) -> SymmetricTask:
    symmetric = read_task(task)
    if symmetric not in ("text-matching", "classification", "clustering"):
        raise InvalidSettingError(
            f"task={task!r} would give documents and questions the same kind of vector: documents "
            "are embedded as passages and questions as queries, so leave it out"
        )
    return symmetric


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
