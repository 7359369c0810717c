"""Late chunking as a transformation: whole documents in, nodes with vectors out."""

from __future__ import annotations

import asyncio
import copy
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, cast

from llama_index.core.base.embeddings.base import Embedding, dispatcher
from llama_index.core.callbacks.schema import CBEventType, EventPayload
from llama_index.core.instrumentation.events.embedding import (
    EmbeddingEndEvent,
    EmbeddingStartEvent,
)
from llama_index.core.node_parser import HierarchicalNodeParser, NodeParser
from llama_index.core.schema import BaseNode, MetadataMode, TextNode, TransformComponent
from pydantic import ConfigDict, Field, SerializeAsAny, field_serializer

from jina_integrations import types
from jina_integrations.adapting import (
    CutDocument,
    Job,
    alate_chunk,
    document_batches,
    late_chunk,
    name_document,
    with_text,
)
from jina_integrations.chunkers import Chunker
from jina_integrations.errors import InvalidInputError, InvalidSettingError
from jina_integrations.ingestion.stages import chunk_document
from jina_integrations.inputs import check_text
from jina_integrations.types import FloatArray

from .embedding import JinaEmbedding
from .nodes import SpanNodeParser, parse_document

__all__ = ["LateChunking"]


@dataclass(frozen=True, slots=True, eq=False)
class _Parsed:
    """A document's nodes, and as chunks of what is encoded."""

    nodes: list[TextNode]
    chunked: CutDocument


class LateChunking(TransformComponent):
    """Takes the place of the node parser and of the embedding model in a list of transformations.

    Each document is encoded as a whole (in overlapping windows, where it is longer than the
    context), and each of its nodes gets the mean of its own tokens, see `Embedder.embed_chunks`.
    Nodes are those of the parser, with its relationships and metadata, and with their `embedding`
    and their character indices in the document. A vector depends on its document alone, not on
    what else is in the call.

    Args:
        embed_model: Encodes the documents, and should embed the queries.
        splitter: Any node parser whose nodes are pieces of the document, or a chunker of this
            package. Through the API nodes may not overlap.
        include_metadata: Also encode the document's metadata, before its text, as its template for
            embeddings says.
        heading_context: Also encode ``metadata["title"]`` and the headings above each node, in
            front of it. Only chunkers such as `MarkdownChunker` know headings.

    Raises:
        InvalidSettingError: a splitter or model of another kind, or a model that is set up against
            late chunking or for another task than retrieval.
    """

    model_config = ConfigDict(extra="forbid")

    embed_model: SerializeAsAny[JinaEmbedding] = Field(frozen=True)
    splitter: NodeParser | Chunker = Field(frozen=True)
    include_metadata: bool = Field(default=False, frozen=True)
    heading_context: bool = Field(default=False, frozen=True)

    def __init__(
        self,
        *,
        embed_model: JinaEmbedding,
        splitter: NodeParser | Chunker,
        include_metadata: bool = False,
        heading_context: bool = False,
    ) -> None:
        _check_model(embed_model)
        if not isinstance(cast("object", splitter), NodeParser | Chunker):
            raise InvalidSettingError(
                "splitter must be a LlamaIndex NodeParser such as SentenceSplitter, or a Chunker "
                f"of jina_integrations, not {type(splitter).__name__}"
            )
        fields: dict[str, object] = {
            "embed_model": embed_model,
            "splitter": splitter,
            "include_metadata": include_metadata,
            "heading_context": heading_context,
        }
        super().__init__(**fields)

    def __getstate__(self) -> dict[str, Any]:
        # LlamaIndex deletes what cannot be pickled (a parser's lambda) from the object itself.
        return {"__dict__": self.__dict__ | {"splitter": copy.copy(self.splitter)}}

    @classmethod
    def class_name(cls) -> str:
        """``"LateChunking"``."""
        return "LateChunking"

    @field_serializer("splitter")
    def _splitter_to_dict(self, splitter: NodeParser | Chunker) -> dict[str, Any]:
        if isinstance(splitter, Chunker):
            return dict(splitter.to_dict())
        return _parser_to_dict(splitter)

    def __call__(
        self,
        nodes: Sequence[BaseNode],
        **kwargs: Any,  # noqa: ANN401 - the signature of the base
    ) -> list[BaseNode]:
        """Nodes with vectors, in the order of the documents and of their parser.

        Args:
            nodes: Whole documents; those without text are skipped with a warning.
            kwargs: Handed to the parser.

        Raises:
            InvalidInputError: a node is a piece of a document, or two nodes have one id.
            InvalidSpanError: the parser gave no nodes, or changed the text, so that they cannot be
                found in it.
            LateChunkingUnsupportedError: the model does not pool a mean.
            JinaIntegrationsError: see `Embedder.embed_chunks`; where a document is to blame,
                `index` is its position in `nodes`, and a note has its id.
        """
        done: list[BaseNode] = []
        ids: set[str] = set()
        for batch in self._batches(nodes):
            parsed = self._parse(batch, kwargs, ids)
            limiter = getattr(self.embed_model, "rate_limiter", None)
            if limiter is not None:
                limiter.acquire()
            with self._observed(parsed):
                vectors = late_chunk(
                    [item.chunked for item in parsed],
                    embedder=self.embed_model.embedder,
                    heading_context=self.heading_context,
                )
                _set_vectors(parsed, vectors)
            done += [node for item in parsed for node in item.nodes]
        return done

    async def acall(
        self,
        nodes: Sequence[BaseNode],
        **kwargs: Any,  # noqa: ANN401 - the signature of the base
    ) -> list[BaseNode]:
        """`__call__`, without blocking the event loop; parsers run in a thread."""
        done: list[BaseNode] = []
        ids: set[str] = set()
        for batch in self._batches(nodes):
            parsed = await asyncio.to_thread(self._parse, batch, kwargs, ids)
            limiter = getattr(self.embed_model, "rate_limiter", None)
            if limiter is not None:
                await limiter.async_acquire()
            with self._observed(parsed):
                vectors = await alate_chunk(
                    [item.chunked for item in parsed],
                    embedder=self.embed_model.embedder,
                    heading_context=self.heading_context,
                )
                _set_vectors(parsed, vectors)
            done += [node for item in parsed for node in item.nodes]
        return done

    def _batches(self, documents: Sequence[BaseNode]) -> Iterator[list[tuple[int, BaseNode]]]:
        """The documents that have text, with their positions."""
        return document_batches(
            with_text(documents, text_of=_text),
            characters=lambda numbered: len(_text(numbered[1])),
            batch_tokens=self.embed_model.batch_tokens,
        )

    def _parse(
        self, documents: Sequence[tuple[int, BaseNode]], options: dict[str, Any], ids: set[str]
    ) -> list[_Parsed]:
        parsed: list[_Parsed] = []
        for index, document in documents:
            try:
                parsed.append(self._parse_document(document, index, options))
                _require_new_ids(parsed[-1].nodes, ids)
            except InvalidInputError as exc:
                name_document(exc, document.node_id, index)
                raise
        return parsed

    def _parse_document(self, document: BaseNode, index: int, options: dict[str, Any]) -> _Parsed:
        source = document.source_node
        if source is not None and source.node_id != document.node_id:
            raise InvalidInputError(
                f"is a piece of {source.node_id!r:.80} already. Late chunking encodes whole "
                "documents: put LateChunking in the place of the parser, with the parser in it"
            )
        text, name = check_text(_text(document)), document.node_id
        parser, headings = self.splitter, None
        if isinstance(parser, Chunker):
            job = Job(self.embed_model.embedder, parser)
            chunks = chunk_document(job, types.Document(name, text))
            headings = [chunk.headings for chunk in chunks]
            parser = SpanNodeParser(spans=[(chunk.start, chunk.end) for chunk in chunks])
        pieces = parse_document(document, text, parser, options)
        before, after = self._around(document)
        title = document.metadata.get("title") if self.heading_context else None
        encoded = types.Document(
            name, before + text + after, {"title": title} if isinstance(title, str) else {}
        )
        shift = len(before)
        pieces_as_chunks = [
            types.Chunk(
                name,
                number,
                shift + start,
                shift + end,
                node.text,
                headings=headings[number] if headings else (),
            )
            for number, (node, (start, end)) in enumerate(pieces)
        ]
        return _Parsed(
            [node for node, _ in pieces], CutDocument(encoded, "", pieces_as_chunks, index)
        )

    def _around(self, document: BaseNode) -> tuple[str, str]:
        """What is encoded before and after the document's text."""
        metadata = document.get_metadata_str(MetadataMode.EMBED) if self.include_metadata else ""
        if not metadata:
            return "", ""
        template: str = getattr(document, "text_template", "{metadata_str}\n\n{content}")
        before, _, after = template.partition("{content}")
        return before.format(metadata_str=metadata), after.format(metadata_str=metadata)

    @contextmanager
    def _observed(self, parsed: Sequence[_Parsed]) -> Generator[None]:
        """The events that `BaseEmbedding` sends for a batch of texts."""
        model = self.embed_model.to_payload()
        chunks = [node.text for item in parsed for node in item.nodes]
        dispatcher.event(EmbeddingStartEvent(model_dict=model))
        with self.embed_model.callback_manager.event(
            CBEventType.EMBEDDING, payload={EventPayload.SERIALIZED: model}
        ) as event:
            yield
            vectors: list[Embedding] = [
                node.get_embedding() for item in parsed for node in item.nodes
            ]
            event.on_end(payload={EventPayload.CHUNKS: chunks, EventPayload.EMBEDDINGS: vectors})
        dispatcher.event(EmbeddingEndEvent(chunks=chunks, embeddings=vectors))


def _check_model(model: object) -> None:
    if not isinstance(model, JinaEmbedding):
        raise InvalidSettingError(
            f"embed_model must be a JinaEmbedding, not {type(model).__name__}"
        )
    if model.late_chunking is False:
        raise InvalidSettingError(
            "embed_model has late_chunking=False: leave it out, or use the parser and the "
            "embedding model without LateChunking"
        )
    if model.task is not None:
        raise InvalidSettingError(
            f"embed_model has task={model.task!r}, and late chunking gives vectors of passages: "
            "leave task out, so that queries are embedded as queries"
        )


def _parser_to_dict(parser: NodeParser) -> dict[str, Any]:
    # Some have no class_name of their own, and the hierarchical one leaves out its parsers' fields.
    values = parser.to_dict() | {"class_name": type(parser).__qualname__}
    if isinstance(parser, HierarchicalNodeParser):
        values["node_parser_map"] = {
            name: _parser_to_dict(child) for name, child in parser.node_parser_map.items()
        }
    return values


def _text(document: BaseNode) -> str:
    return document.get_content(MetadataMode.NONE)


def _set_vectors(parsed: Sequence[_Parsed], vectors: Sequence[FloatArray]) -> None:
    for item, rows in zip(parsed, vectors, strict=True):
        for node, row in zip(item.nodes, rows, strict=True):
            node.embedding = row.tolist()


def _require_new_ids(nodes: Sequence[BaseNode], ids: set[str]) -> None:
    for node in nodes:
        if node.node_id in ids:
            raise InvalidInputError(
                f"gives two nodes the id {node.node_id!r:.80}, so that a store would keep one of "
                "them: give the parser another id_func"
            )
        ids.add(node.node_id)
