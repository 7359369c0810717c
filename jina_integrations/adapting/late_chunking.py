"""Late chunking for frameworks: their whole documents in, chunks with vectors out.

::

    job = Job(embedder, chunker, late_chunking=True)
    numbered = with_text(documents, text_of=lambda document: document.page_content)
    chunked = cut(job, [(index, Document(item.id, item.page_content)) for index, item in numbered])
    vectors = late_chunk(chunked, embedder=embedder)       # or: await alate_chunk(…)

Documents are cut and embedded as `Collection.ingest` does it. Errors carry the position of the
document in the caller's list.
"""

from __future__ import annotations

import asyncio
import warnings
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final, TypeVar, cast

from ..chunkers.base import Chunker
from ..chunkers.locating import locate
from ..embedding.embedder import Embedder
from ..errors import (
    ApiError,
    EmbeddingError,
    InvalidInputError,
    InvalidSettingError,
    InvalidSpanError,
)
from ..ingestion.request import ChunkedDocument, Request, make_request, vectors_by_document
from ..ingestion.stages import Job, chunk_document
from ..tokenizers.base import Tokenizer
from ..types import CharSpan, Document, FloatArray, Scalar

__all__ = [
    "CutDocument",
    "PieceChunker",
    "alate_chunk",
    "cut",
    "late_chunk",
    "name_document",
    "with_text",
]

_Document = TypeVar("_Document")

_POSITIONS_SHOWN: Final = 5


@dataclass(frozen=True, slots=True)
class CutDocument(ChunkedDocument):
    """A document, its chunks, and its position among those that the caller gave."""

    index: int


@dataclass(frozen=True)
class PieceChunker(Chunker):
    """A splitter that gives texts and no positions, as a chunker.

    Args:
        split: Gives the pieces of a text in order; each begins after the one before it.
        name: The splitter's, for error messages and the recipe.
        overlap_fits: See `locate`.
    """

    split: Callable[[str], Sequence[str]]
    name: str
    overlap_fits: Callable[[str], bool] = lambda overlap: True  # noqa: ARG005

    def spans(self, text: str, tokenizer: Tokenizer) -> list[CharSpan]:  # noqa: ARG002
        """Where the pieces are in the text.

        Raises:
            InvalidSpanError: a piece is no text, or is not in the document's: the splitter
                changes it.
        """
        pieces = cast("Sequence[object]", self.split(text))
        for number, piece in enumerate(pieces):
            if not isinstance(piece, str):
                raise InvalidSpanError(
                    f"piece {number} is a {type(piece).__name__} and no str: use a splitter that "
                    "gives texts"
                )
        return locate(text, cast("Sequence[str]", pieces), overlap_fits=self.overlap_fits)

    def to_dict(self) -> dict[str, Scalar]:
        """``"pieces"`` and the splitter's name, which does not tell how it is set up."""
        return {"chunker": "pieces", "name": self.name}


def with_text(
    documents: Iterable[_Document], *, text_of: Callable[[_Document], str]
) -> Iterator[tuple[int, _Document]]:
    """The documents that have text, lazily, each with its position.

    The others are skipped, as `Collection.ingest` skips them: one warning at the end names them.

    Args:
        documents: Of any kind.
        text_of: A document's text.
    """
    blank: list[int] = []
    for index, document in enumerate(documents):
        if text_of(document).strip():
            yield index, document
        else:
            blank.append(index)
    if blank:
        shown = ", ".join(f"documents[{index}]" for index in blank[:_POSITIONS_SHOWN])
        more = f" and {len(blank) - _POSITIONS_SHOWN} more" * (len(blank) > _POSITIONS_SHOWN)
        warnings.warn(f"skipped without text: {shown}{more}", UserWarning, stacklevel=2)


def cut(job: Job, documents: Sequence[tuple[int, Document]]) -> list[CutDocument]:
    """The documents cut into chunks, each with at least one, and with the recipe's version.

    Args:
        job: With the chunker.
        documents: With their positions, see `with_text`.

    Raises:
        InvalidInputError: a document cannot be cut; carries its position.
        InvalidSettingError: the chunker's settings do not fit the model.
    """
    chunked: list[CutDocument] = []
    for index, document in documents:
        try:
            chunks = chunk_document(job, document)
        except InvalidSettingError:
            raise  # no document is to blame
        except InvalidInputError as exc:
            name = getattr(job.chunker, "name", type(job.chunker).__name__)
            if exc.argument is None:
                exc.reason = f"cut by {name}: {exc.reason}"
            name_document(exc, document.id, index)
            raise
        chunked.append(CutDocument(document, job.recipe.version(document), chunks, index))
    return chunked


def late_chunk(
    chunked: Sequence[CutDocument],
    *,
    embedder: Embedder,
    heading_context: bool = False,
    late_chunking: bool = True,
) -> list[FloatArray]:
    """The vectors of the chunks, all documents embedded together.

    Args:
        chunked: May be empty.
        embedder: Makes the vectors.
        heading_context: Whether title and headings are embedded in front of each chunk.
        late_chunking: Whether whole documents are encoded, or each chunk by itself.

    Returns:
        For each document float32, shape (its chunks, dimensions).

    Raises:
        LateChunkingUnsupportedError: the model cannot do it.
        InvalidInputError: a document cannot be embedded; carries its position.
        JinaIntegrationsError: see `Embedder.embed_chunks`.
    """
    request = make_request(
        chunked, embedder=embedder, heading_context=heading_context, late_chunking=late_chunking
    )
    with _naming_documents(chunked, request):
        if request.spans is None:
            return _sorted(request, chunked, embedder.embed(request.texts, task="passage"))
        return _sorted(request, chunked, embedder.embed_chunks(request.texts, request.spans))


async def alate_chunk(
    chunked: Sequence[CutDocument],
    *,
    embedder: Embedder,
    heading_context: bool = False,
    late_chunking: bool = True,
) -> list[FloatArray]:
    """`late_chunk`, without blocking the event loop."""
    request = await asyncio.to_thread(
        make_request,
        chunked,
        embedder=embedder,
        heading_context=heading_context,
        late_chunking=late_chunking,
    )
    with _naming_documents(chunked, request):
        if request.spans is None:
            rows = await embedder.aembed(request.texts, task="passage")
            return _sorted(request, chunked, rows)
        vectors = await embedder.aembed_chunks(request.texts, request.spans)
        return _sorted(request, chunked, vectors)


def _sorted(
    request: Request, chunked: Sequence[CutDocument], vectors: FloatArray | list[FloatArray]
) -> list[FloatArray]:
    by_document, _ = vectors_by_document(request, chunked, vectors, failures={})
    return by_document


@contextmanager
def _naming_documents(chunked: Sequence[CutDocument], request: Request) -> Generator[None]:
    """Make errors speak of the caller's documents, not of the embedder's texts."""
    try:
        yield
    except (InvalidInputError, EmbeddingError, ApiError) as exc:
        if exc.index is not None:
            number = request.document_of[exc.index]
            if request.spans is None:  # the text is a chunk
                exc.span = exc.index - request.document_of.index(number)
            name_document(exc, chunked[number].document.id, chunked[number].index)
        raise


def name_document(
    error: InvalidInputError | EmbeddingError | ApiError, document_id: str, index: int
) -> None:
    """Let an error speak of ``documents[index]``, with a note that has the document's id."""
    error.argument, error.index = "documents", index
    error.add_note(f"documents[{index}] is {document_id!r:.80}")
