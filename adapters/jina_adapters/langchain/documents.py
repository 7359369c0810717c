"""Which document a LangChain `Document` is, and what its chunks are called."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final, cast

from langchain_core.documents import Document

from jina_integrations import types
from jina_integrations.adapting import CutDocument, with_text
from jina_integrations.errors import InvalidInputError
from jina_integrations.inputs import check_text
from jina_integrations.recipe import hash_values
from jina_integrations.stores.records import chunk_id

__all__ = ["NamedDocument", "chunk_documents", "chunk_name", "name_documents", "version_of"]

_LAYOUT: Final = "langchain-2"
"""Part of every stored id."""

_WRITTEN_KEYS: Final = (
    "start_index",
    "chunk_index",
    "chunk_count",
    "document_version",
    "headings",
)


@dataclass(frozen=True, slots=True)
class NamedDocument:
    """A whole document with its position among those given.

    Attributes:
        index: The position.
        source: As LangChain has it.
        document: As the core has it; its id is the document's name.
    """

    index: int
    source: Document
    document: types.Document


def chunk_name(document_name: str, slot: int, index: int) -> str:
    """The id of a document's chunk: a UUID.

    Args:
        document_name: The document's.
        slot: 0 or 1. The chunks of a new version get the ids of the slot that is free, so that
            the old version stays until the new one is written.
        index: The chunk's position in the document.
    """
    return chunk_id(document_name, f"{_LAYOUT}-{slot}", index)


def version_of(named: NamedDocument, chunked: CutDocument) -> str:
    """Hash of everything that decides the document's chunks, their metadata and their vectors."""
    return hash_values(
        {
            "recipe": chunked.version,
            # What is no JSON goes by its repr. If that holds an address, the document counts as
            # changed each time, which costs its embedding and loses nothing.
            "metadata": json.dumps(named.source.metadata, sort_keys=True, default=repr),
            # A splitter of LangChain does not tell how it is set up; here is what came of it.
            "spans": [[chunk.start, chunk.end] for chunk in chunked.chunks],
        }
    )


def chunk_documents(named: NamedDocument, chunked: CutDocument, *, slot: int = 0) -> list[Document]:
    """The document's chunks as LangChain has them, see `LateChunks`."""
    name, version = named.document.id, version_of(named, chunked)
    return [
        Document(
            id=chunk_name(name, slot, chunk.index),
            page_content=chunk.text,
            metadata={
                **copy.deepcopy(cast("dict[str, object]", named.source.metadata)),
                "document_id": name,
                "document_version": version,
                "start_index": chunk.start,
                "chunk_index": chunk.index,
                "chunk_count": len(chunked.chunks),
                **({"headings": list(chunk.headings)} if chunk.headings else {}),
            },
        )
        for chunk in chunked.chunks
    ]


def name_documents(
    documents: Iterable[Document], *, with_title: bool = False
) -> Iterator[NamedDocument]:
    """The documents that have text, lazily, with unique names.

    The name is `Document.id`, else ``metadata["document_id"]``, else a hash of text and metadata.

    Args:
        documents: Whole ones; those without text are skipped with a warning.
        with_title: Whether the core gets to know ``metadata["title"]``.

    Raises:
        InvalidInputError: no document, two of one name, two names of one, or metadata that the
            chunks' own would overwrite. Each error carries the document's index.
    """
    if isinstance(documents, Document | str):
        raise InvalidInputError(
            f"documents must be several Documents, not {type(documents).__name__}: wrap it in a "
            "list"
        )
    seen: dict[str, int] = {}
    for index, source in with_text(
        _checked(documents), text_of=lambda document: document.page_content
    ):
        name = _name(source, index)
        if name in seen:
            raise InvalidInputError(
                f"documents[{seen[name]}] and documents[{index}] have the same id {name!r:.80}. "
                "Ids must be unique; pass whole documents, not pages or chunks of one",
                index=index,
            )
        seen[name] = index
        title = cast("dict[str, object]", source.metadata).get("title") if with_title else None
        try:
            document = types.Document(
                name, source.page_content, {"title": title} if isinstance(title, str) else {}
            )
        except InvalidInputError as exc:
            exc.index = index
            raise
        yield NamedDocument(index, source, document)


def _checked(documents: Iterable[Document]) -> Iterator[Document]:
    for index, document in enumerate(documents):
        if not isinstance(document, Document):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise InvalidInputError(
                f"documents[{index}] must be a langchain_core Document, "
                f"not {type(document).__name__}",
                index=index,
            )
        yield document


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
        return hash_values({"text": document.page_content, "metadata": document.metadata})
    except (TypeError, ValueError) as exc:
        raise InvalidInputError(
            f"documents[{index}] has no id, and no hash can be its id, since its metadata is not "
            f"JSON ({exc}): set Document.id",
            index=index,
        ) from exc
