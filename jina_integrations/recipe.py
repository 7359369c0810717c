"""What decides a document's chunks and vectors, in one value: the recipe.

Each setting has a role (see `settings.Role`). The values that are in use, defaults included, are
kept by role:

- ``vector``: what queries must share. Its hash is the fingerprint.
- ``document``: what else decides the vectors of documents.
- ``cut``: what decides the chunks: chunker, its algorithm, the tokenizer that counts.

All three, one document's content and the recipe's format give that document's version. Where a
model runs and how fast has no part in it, nor has a setting that is not in use, such as
``window_tokens`` without late chunking.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Final, NamedTuple, Self, cast

from .errors import RecipeMismatchError, StoreCorruptError

if TYPE_CHECKING:
    from .chunkers.base import Chunker
    from .embedding.embedder import Embedder
    from .embedding.operations import Operations
    from .settings import Precision
    from .types import Document

__all__ = ["FORMAT", "Difference", "Recipe", "hash_values", "vector_values"]

FORMAT: Final = 2
"""Of the recipe itself. Raised where the same settings come to mean other chunks or vectors."""

_PRECISIONS: Final[Mapping[Precision, str]] = {
    "auto": "float32",
    "float32": "float32",
    "bfloat16": "half",
    "float16": "half",
    "int8": "int8",
}
"""Precisions whose vectors can be searched with each other's; engines and devices do not count."""


def hash_values(values: Mapping[str, object]) -> str:
    """Hex hash (128 bits of SHA-256) of a mapping of JSON values; key order is irrelevant."""
    canonical = json.dumps(values, sort_keys=True, ensure_ascii=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode("ascii")).hexdigest()[:32]


class Difference(NamedTuple):
    """A setting whose stored value is not the present one."""

    name: str
    stored: object
    present: object

    def __str__(self) -> str:
        return f"{self.name}={self.stored!r} (here {self.present!r})"


@dataclass(frozen=True)
class Recipe:
    """The settings of a collection, by role. JSON values only, and no key.

    Attributes:
        embedder: `Embedder.to_dict()` with the backend that ``"auto"`` came to, from which
            `Collection.open` rebuilds the embedder.
        vector: What queries must share.
        document: What else decides the vectors of documents.
        cut: What decides the chunks.
        format: `FORMAT` of the version that made it.
    """

    embedder: Mapping[str, object]
    vector: Mapping[str, object]
    document: Mapping[str, object]
    cut: Mapping[str, object]
    format: int = FORMAT

    @classmethod
    def of(
        cls,
        embedder: Embedder,
        chunker: Chunker,
        *,
        heading_context: bool = False,
        late_chunking: bool | None = None,
    ) -> Self:
        """The recipe of an embedder and a chunker.

        Loads what is known of the model, not its weights.

        Args:
            embedder: Makes the vectors.
            chunker: Cuts the documents.
            heading_context: Whether title and headings are embedded in front of each chunk.
            late_chunking: Whether documents are encoded whole; None as the embedder says.

        Raises:
            InvalidSettingError: a setting does not fit the model.
            ModelError: the model is not found.
        """
        operations = embedder.operations
        settings = {**embedder.to_dict(), "backend": embedder.backend}
        if embedder.backend == "local":
            settings["api"] = None
        return cls(
            embedder=settings,
            vector=vector_values(operations),
            document={
                **_document_values(
                    operations, operations.late_chunking if late_chunking is None else late_chunking
                ),
                "heading_context": heading_context,
            },
            cut={
                "chunker": dict(chunker.to_dict()),
                "algorithm": dict(chunker.algorithm),
                "tokenizer": operations.backend.tokenizer_identity,
            },
        )

    @classmethod
    def of_questions(cls, embedder: Embedder) -> Self:
        """The part that questions share with documents, for `vector_drift`; needs no chunker."""
        settings = {**embedder.to_dict(), "backend": embedder.backend}
        return cls(
            embedder=settings, vector=vector_values(embedder.operations), document={}, cut={}
        )

    @property
    def fingerprint(self) -> str:
        """Hash of what queries must share: equal for embedders that can share a collection."""
        return hash_values({"format": self.format, **self.vector})

    @cached_property
    def _key(self) -> str:
        # Which texts over the limit are cut is settled once for a collection (see `drift`).
        long_texts = _of_long_texts(self.document)
        document = {name: self.document[name] for name in self.document.keys() - long_texts}
        return hash_values({"fingerprint": self.fingerprint, "document": document, "cut": self.cut})

    def version(self, document: Document) -> str:
        """Hex hash of everything that decides the document's chunks, payloads and vectors."""
        text = document.text.encode("utf-8", "surrogatepass")
        return hash_values(
            {
                "recipe": self._key,
                "id": document.id,
                "text": hashlib.sha256(text).hexdigest(),
                "metadata": dict(document.metadata),
                "headings": [[h.start, h.level, h.title] for h in document.headings],
                "pages": [[page.start, page.number] for page in document.pages],
            }
        )

    def to_dict(self) -> dict[str, object]:
        """The fields as JSON values; `from_dict` takes them back."""
        return {
            "format": self.format,
            "embedder": dict(self.embedder),
            "vector": dict(self.vector),
            "document": dict(self.document),
            "cut": dict(self.cut),
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, object], *, where: str) -> Self:
        """The recipe of `to_dict`.

        Args:
            values: What a collection keeps.
            where: The collection's name for error messages.

        Raises:
            RecipeMismatchError: another version of this package wrote it, in another format.
            StoreCorruptError: it is no recipe.
        """
        if values.get("format") != FORMAT:
            raise RecipeMismatchError(
                f"{where} was written with recipe format {values.get('format')!r}, and this "
                f"version of jina-integrations has format {FORMAT}: ingest into a new collection, "
                "or drop this one first"
            )
        parts = [values.get(name) for name in ("embedder", "vector", "document", "cut")]
        if not all(isinstance(part, Mapping) for part in parts):
            raise StoreCorruptError(
                f"{where}: the recipe stored with it cannot be read; ingest into a new collection"
            )
        embedder, vector, document, cut = cast("list[Mapping[str, object]]", parts)
        return cls(embedder, vector, document, cut)

    def vector_drift(self, stored: Recipe) -> list[Difference]:
        """What keeps this recipe's queries from being compared to the stored vectors."""
        differences = list(_differences(stored.vector, self.vector))
        if any(difference.name == "weights" for difference in differences):
            names = list(_differences(stored.embedder, self.embedder, only=("model", "backend")))
            if names:
                rest = [item for item in differences if item.name != "weights"]
                return [*names, *rest]
        return differences

    def drift(self, stored: Recipe) -> list[Difference]:
        """What keeps documents of this recipe out of the stored ones' collection.

        Other chunks are no drift: documents that come again are cut anew. A text over the model's
        limit fails with ``long="error"``, so that goes together with either way to embed it.
        """
        documents = _differences(stored.document, self.document)
        excused: set[str] = set()
        if "error" in (stored.document.get("long"), self.document["long"]):
            excused = _of_long_texts(stored.document) | _of_long_texts(self.document)
        return [
            *self.vector_drift(stored),
            *(item for item in documents if item.name not in excused),
        ]

    def new_cuts(self, stored: Recipe) -> list[Difference]:
        """Why documents that come again get other chunks."""
        return list(_differences(stored.cut, self.cut))

    def merged(self, stored: Recipe) -> Recipe:
        """What a collection of the stored recipe remembers once this one has filled it, too."""
        document = dict(self.document)
        if document["long"] == "error":
            for name in _of_long_texts(stored.document):
                document[name] = stored.document[name]
        return Recipe(self.embedder, self.vector, document, self.cut)


def vector_values(operations: Operations) -> dict[str, object]:
    """What the vectors of queries and documents must share, as JSON values."""
    settings, card = operations.settings, operations.card
    return {
        "weights": operations.backend.identity,
        "tasks": {task: [s.prefix, s.adapter] for task, s in sorted(card.tasks.items())},
        "pooling": card.pooling,
        "dimensions": operations.dimensions,
        "normalize": operations.normalized,
        "precision": _PRECISIONS[settings.precision],
    }


def _document_values(operations: Operations, late_chunking: bool) -> dict[str, object]:
    settings = operations.settings
    long = "truncate" if settings.truncate else settings.long
    values: dict[str, object] = {"late_chunking": late_chunking, "long": long}
    if late_chunking or long == "windows":
        values["window_tokens"], values["overlap_tokens"] = operations.window_and_overlap
    if late_chunking:
        values["context_weight"] = operations.context_weight
        if operations.backend.kind == "api":
            from .settings import ApiSettings

            values["request_inputs"] = (settings.api or ApiSettings()).request_inputs
    return values


def _of_long_texts(document: Mapping[str, object]) -> set[str]:
    """Names of the values that decide nothing but vectors of texts over the model's limit."""
    windows = set() if document.get("late_chunking") else {"window_tokens", "overlap_tokens"}
    return {"long", *windows} & document.keys()


def _differences(
    stored: Mapping[str, object],
    present: Mapping[str, object],
    only: tuple[str, ...] | None = None,
) -> Iterator[Difference]:
    for name in only or [*present, *(name for name in stored if name not in present)]:
        if stored.get(name) != present.get(name):
            yield Difference(name, stored.get(name), present.get(name))
