"""The command ``chunks``: what would be embedded, and how much that is."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Final

import typer

from .addresses import JsonOption
from .options import (
    ChunkerOption,
    HeadingContextOption,
    RootOption,
    embedder_options,
    make_embedder,
)
from .outcome import SOME_FAILED, counted, note, one_line, reported, say, say_json

if TYPE_CHECKING:
    from ..errors import JinaIntegrationsError
    from ..ingestion.stages import Job
    from ..types import Chunk, Document

__all__ = ["chunks_command"]

_FIRST_CHARACTERS: Final = 200


@embedder_options(
    only=(
        *("model", "backend", "revision", "window_tokens", "overlap_tokens", "base_url"),
        *("tokenizer", "api_key_env_var"),
    )
)
def chunks_command(
    paths: Annotated[list[str], typer.Argument(metavar="FILE", help="Files and folders.")],
    settings: Mapping[str, object],
    chunker: ChunkerOption = "sentence:256",
    heading_context: HeadingContextOption = None,
    root: RootOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show how files are cut, and what it costs.

    Nothing is embedded. Tokens are those of the model, with its special tokens and prefix: of each
    chunk, and of all that would be encoded, chunk by chunk or by late chunking.

    Exit codes: 0 all well, 1 some documents failed, 2 wrong usage or refused.
    """
    with reported():
        from ..chunkers.registry import parse_chunker
        from ..ingestion.stages import Job
        from ..readers import read_documents

        job = Job(make_embedder(settings), parse_chunker(chunker), bool(heading_context))
        total, rows, failed = _Cost(), list[Mapping[str, object]](), False
        for item in _cut_all(job, read_documents(paths, root=root)):
            if isinstance(item, _Failure):
                failed = True
                note(f"failed: {item.document_id}: {item.error}")
                continue
            total.add(item.cost)
            if as_json:
                rows.append(item.to_dict())
            else:
                say(f"{_table(item)}\n")
        if as_json:
            say_json({"documents": rows, "total": total.to_dict()})
        else:
            say(_total(total))
    if failed:
        sys.exit(SOME_FAILED)


@dataclass(slots=True)
class _Cost:
    """What embedding would encode.

    Attributes:
        documents: How many.
        chunks: How many.
        isolated_tokens: Where each chunk is embedded by itself.
        late_tokens: Where documents are encoded whole; None where the model cannot.
    """

    documents: int = 0
    chunks: int = 0
    isolated_tokens: int = 0
    late_tokens: int | None = 0

    def add(self, other: _Cost) -> None:
        """Make it the sum of both."""
        self.documents += other.documents
        self.chunks += other.chunks
        self.isolated_tokens += other.isolated_tokens
        late = (self.late_tokens, other.late_tokens)
        self.late_tokens = None if None in late else sum(filter(None, late))

    def to_dict(self) -> dict[str, object]:
        """The fields as JSON values."""
        return {name: getattr(self, name) for name in self.__slots__}


@dataclass(frozen=True, slots=True)
class _Cut:
    """A document, its chunks and the tokens of each, with what is embedded in front of it."""

    document: Document
    chunks: Sequence[Chunk]
    tokens: Sequence[int]
    cost: _Cost

    def to_dict(self) -> dict[str, object]:
        """As JSON values."""
        return {
            "document_id": self.document.id,
            "isolated_tokens": self.cost.isolated_tokens,
            "late_tokens": self.cost.late_tokens,
            "chunks": [
                {
                    "index": chunk.index,
                    "start": chunk.start,
                    "end": chunk.end,
                    "tokens": tokens,
                    "headings": list(chunk.headings),
                    "page": chunk.page,
                    "page_end": chunk.page_end,
                    "text": chunk.text,
                }
                for chunk, tokens in zip(self.chunks, self.tokens, strict=True)
            ],
        }


@dataclass(frozen=True, slots=True)
class _Failure:
    document_id: str
    error: JinaIntegrationsError


def _cut_all(job: Job, items: Iterator[object]) -> Iterator[_Cut | _Failure]:
    from ..errors import InvalidInputError, InvalidSettingError
    from ..readers.results import FailedFile, SkippedFile
    from ..types import Document

    for item in items:
        if isinstance(item, FailedFile):
            yield _Failure(item.path, item.error)
        elif isinstance(item, SkippedFile):
            note(f"skipped: {item.path}: {item.reason}")
        elif isinstance(item, Document):
            try:
                yield _cut(job, item)
            except InvalidSettingError:  # of the chunker and the model, so of all documents
                raise
            except InvalidInputError as exc:
                yield _Failure(item.id, exc)


def _cut(job: Job, document: Document) -> _Cut:
    from ..ingestion.context import context_parts, fitting_context, room_for, with_contexts
    from ..ingestion.stages import chunk_document

    embedder, tokenizer = job.embedder, job.embedder.tokenizer
    chunks = chunk_document(job, document)
    contexts = [""] * len(chunks)
    if job.heading_context:
        limit = embedder.card.max_tokens
        contexts = [
            fitting_context(context_parts(document, chunk), room_for(tokenizer, chunk.text, limit))
            for chunk in chunks
        ]
    tokens = [
        tokenizer.count(context + chunk.text) + tokenizer.overhead
        for context, chunk in zip(contexts, chunks, strict=True)
    ]
    late = None
    if embedder.card.late_chunking is not None:
        spans = [(chunk.start, chunk.end) for chunk in chunks]
        whole, _ = with_contexts(document.text, spans, contexts)
        late = _windowed(
            tokenizer.count(whole) + tokenizer.overhead, *embedder.operations.window_and_overlap
        )
    return _Cut(document, chunks, tokens, _Cost(1, len(chunks), sum(tokens), late))


def _windowed(tokens: int, window: int, overlap: int) -> int:
    """Tokens that are encoded where windows of a document share so many."""
    further = max(0, -(-(tokens - window) // (window - overlap)))
    return tokens + further * overlap


def _table(cut: _Cut) -> str:
    from .output import rendered, rows_table

    rows = [
        (
            chunk.index,
            f"{chunk.start}-{chunk.end}",
            tokens,
            _pages(chunk),
            " > ".join(chunk.headings),
            chunk.text[:_FIRST_CHARACTERS],
        )
        for chunk, tokens in zip(cut.chunks, cut.tokens, strict=True)
    ]
    headings = ["chunk", "characters", "tokens", "page", "headings", "text"]
    empty = [number for number in (3, 4) if not any(row[number] for row in rows)]
    table = rows_table(
        [name for number, name in enumerate(headings) if number not in empty],
        [[cell for number, cell in enumerate(row) if number not in empty] for row in rows],
        numbers=("chunk", "characters", "tokens", "page"),
        on_one_line={"headings": 1, "text": 2},
    )
    name = one_line(cut.document.id)
    return f"{name}: {counted(len(rows), 'chunk')}\n{rendered(table)}"


def _pages(chunk: Chunk) -> str:
    if chunk.page is None:
        return ""
    return f"{chunk.page}" if chunk.page_end == chunk.page else f"{chunk.page}-{chunk.page_end}"


def _total(cost: _Cost) -> str:
    lines = [
        f"{counted(cost.documents, 'document')}, {counted(cost.chunks, 'chunk')}",
        f"embedding each chunk by itself encodes {cost.isolated_tokens:,} tokens",
    ]
    if cost.late_tokens is None:
        lines.append("this model has no late chunking")
    else:
        lines.append(
            f"late chunking encodes about {cost.late_tokens:,} tokens, and with a context weight "
            "below 1 both"
        )
    return "\n".join(lines)
