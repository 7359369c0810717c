"""Which document a LangChain `Document` is, and what its chunks are called."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final, cast

from langchain_core.documents import Document

from jina_integrations.errors import InvalidInputError
from jina_integrations.identity import chunk_id, fingerprint
from jina_integrations.texts import check_text

__all__ = ["NamedDocument", "chunk_name", "name_documents"]

_LAYOUT: Final = "langchain-1"
"""Stands where other adapters have the document's version, so that the ids of a document's chunks
follow from its own id alone. Every stored id depends on it."""

_WRITTEN_KEYS: Final = ("start_index", "chunk_index", "chunk_count")


@dataclass(frozen=True, slots=True)
class NamedDocument:
    """A whole document that can be embedded, its name, and its position among those given."""

    document: Document
    name: str
    index: int


def chunk_name(document_name: str, index: int) -> str:
    """The id of a document's chunk: a UUID."""
    return chunk_id(document_name, _LAYOUT, index)


def name_documents(documents: Iterable[Document]) -> Iterator[NamedDocument]:
    """The documents, lazily, with unique names: `Document.id`, else ``metadata["document_id"]``.

    Without either it is a hash of text and metadata.

    Raises:
        InvalidTextError: a text or a name cannot be embedded or stored.
        InvalidInputError: no document, two of one name, two names of one, or metadata that the
            chunks' own would overwrite. Each error carries the document's index.
    """
    if isinstance(documents, Document | str):
        raise InvalidInputError(
            f"documents must be several Documents, not {type(documents).__name__}: wrap it in a "
            "list"
        )
    seen: dict[str, int] = {}
    for index, document in enumerate(documents):
        if not isinstance(document, Document):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise InvalidInputError(
                f"documents[{index}] must be a langchain_core Document, "
                f"not {type(document).__name__}",
                index=index,
            )
        check_text(document.page_content, index=index)
        name = _name(document, index)
        if name in seen:
            raise InvalidInputError(
                f"documents[{index}] is {name!r:.80} like documents[{seen[name]}]: give each an id "
                "of its own, and documents whole, not as pages or chunks of the same id",
                index=index,
            )
        seen[name] = index
        yield NamedDocument(document, name, index)


def _name(document: Document, index: int) -> str:
    metadata = cast("dict[object, object]", document.metadata)
    overwritten = [key for key in _WRITTEN_KEYS if key in metadata]
    if overwritten:
        raise InvalidInputError(
            f"documents[{index}] has {overwritten} in its metadata, which are written with every "
            "chunk: pass whole documents rather than chunks, or rename the keys",
            index=index,
        )
    name, named = document.id, metadata.get("document_id", document.id)
    if name is None and named is None:
        return _hash(document, index)
    if not isinstance(named, str) or name not in (None, named):
        raise InvalidInputError(
            f"documents[{index}] has the id {name!r:.80} and {named!r:.80} as the document_id of "
            "its metadata, where the id is written with every chunk: make them equal strings, or "
            "rename the key",
            index=index,
        )
    try:
        return check_text(named)
    except InvalidInputError as exc:
        raise InvalidInputError(f"the id of documents[{index}]: {exc}", index=index) from exc


def _hash(document: Document, index: int) -> str:
    try:
        return fingerprint({"text": document.page_content, "metadata": document.metadata})
    except (TypeError, ValueError) as exc:
        raise InvalidInputError(
            f"documents[{index}] has no id, and no hash can be its id, since its metadata is not "
            f"JSON ({exc}): set Document.id",
            index=index,
        ) from exc
