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

from jina_integrations.chunkers import Chunker
from jina_integrations.errors import (
    InvalidInputError,
    InvalidSettingError,
    InvalidSpanError,
    JinaIntegrationsError,
)
from jina_integrations.ingestion.batching import document_batches
from jina_integrations.texts import check_text
from jina_integrations.types import CharSpan, FloatArray

from .chunker_parser import ChunkerNodeParser
from .embedding import JinaEmbedding
from .positions import find_spans

__all__ = ["LateChunking"]


@dataclass(frozen=True, slots=True, eq=False)
class _Parsed:
    """One document: what is encoded, its nodes, and where each of them lies in that."""

    document: BaseNode
    text: str
    nodes: list[TextNode]
    spans: list[CharSpan]


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

    Raises:
        InvalidSettingError: a splitter or model of another kind, or a model that is set up against
            late chunking or for another task than retrieval.
    """

    model_config = ConfigDict(extra="forbid")

    embed_model: SerializeAsAny[JinaEmbedding] = Field(frozen=True)
    splitter: NodeParser | Chunker = Field(frozen=True)
    include_metadata: bool = Field(default=False, frozen=True)

    def __init__(
        self,
        *,
        embed_model: JinaEmbedding,
        splitter: NodeParser | Chunker,
        include_metadata: bool = False,
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
            nodes: Whole documents; at least one character of each is no whitespace.
            kwargs: Handed to the parser.

        Raises:
            InvalidInputError: a node is a piece of a document, or two nodes have one id.
            InvalidTextError: a document has no text.
            InvalidSpanError: the parser gave no nodes, or changed the text, so that they cannot be
                found in it.
            LateChunkingUnsupportedError: the model does not pool a mean.
            JinaIntegrationsError: see `Embedder.embed_chunks`; where a document is to blame, the
                message names it, and `index` is its position in `nodes`.
        """
        done: list[BaseNode] = []
        ids: set[str] = set()
        for first, batch in self._batches(nodes):
            parsed = self._parse(batch, first, kwargs, ids)
            limiter = getattr(self.embed_model, "rate_limiter", None)
            if limiter is not None:
                limiter.acquire()
            with self._observed(parsed), _naming(batch, first):
                texts, spans = _arguments(parsed)
                _set_vectors(parsed, self.embed_model.embedder.embed_chunks(texts, spans))
            done += [node for own in parsed for node in own.nodes]
        return done

    async def acall(
        self,
        nodes: Sequence[BaseNode],
        **kwargs: Any,  # noqa: ANN401 - the signature of the base
    ) -> list[BaseNode]:
        """`__call__`, without blocking the event loop; parsers run in a thread."""
        done: list[BaseNode] = []
        ids: set[str] = set()
        for first, batch in self._batches(nodes):
            parsed = await asyncio.to_thread(self._parse, batch, first, kwargs, ids)
            limiter = getattr(self.embed_model, "rate_limiter", None)
            if limiter is not None:
                await limiter.async_acquire()
            with self._observed(parsed), _naming(batch, first):
                texts, spans = _arguments(parsed)
                _set_vectors(parsed, await self.embed_model.embedder.aembed_chunks(texts, spans))
            done += [node for own in parsed for node in own.nodes]
        return done

    def _batches(self, documents: Sequence[BaseNode]) -> Iterator[tuple[int, list[BaseNode]]]:
        """The documents, each list with its first one's position."""
        first = 0
        for batch in document_batches(
            documents,
            characters=lambda document: len(document.get_content(MetadataMode.NONE)),
            embedder=self.embed_model.embedder,
        ):
            yield first, batch
            first += len(batch)

    def _parse(
        self, documents: Sequence[BaseNode], first: int, options: dict[str, Any], ids: set[str]
    ) -> list[_Parsed]:
        parsed: list[_Parsed] = []
        for index, document in enumerate(documents):
            try:
                parsed.append(self._parse_one(document, options))
                _require_new_ids(parsed[-1].nodes, ids)
            except InvalidInputError as exc:
                raise _named(exc, document, first + index) from exc.__cause__
        return parsed

    def _parse_one(self, document: BaseNode, options: dict[str, Any]) -> _Parsed:
        source = document.source_node
        if source is not None and source.node_id != document.node_id:
            raise InvalidInputError(
                f"it is a piece of {source.node_id!r:.80} already. Late chunking encodes whole "
                "documents: put LateChunking in the place of the parser, with the parser in it"
            )
        text = check_text(document.get_content(MetadataMode.NONE))
        # One document at a time: parsers look nodes up by the ids of all that they are given.
        nodes = self._parser()([document], **options)
        name = type(self.splitter).__name__
        own = [node for node in nodes if isinstance(node, TextNode)]
        if not own or len(own) != len(nodes):
            raise InvalidSpanError(f"{name} gave {len(nodes)} nodes, {len(own)} of them with text")
        try:
            spans = find_spans(text, own)
        except InvalidSpanError as exc:
            raise InvalidSpanError(f"{name}: {exc}") from exc
        for node, (start, end) in zip(own, spans, strict=True):
            node.start_char_idx, node.end_char_idx = start, end
        before, after = self._around(document)
        shifted = [(len(before) + start, len(before) + end) for start, end in spans]
        return _Parsed(document, before + text + after, own, shifted)

    def _parser(self) -> NodeParser:
        if isinstance(self.splitter, NodeParser):
            return self.splitter
        return ChunkerNodeParser(chunker=self.splitter, embedder=self.embed_model.embedder)

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
        chunks = [node.text for own in parsed for node in own.nodes]
        dispatcher.event(EmbeddingStartEvent(model_dict=model))
        with self.embed_model.callback_manager.event(
            CBEventType.EMBEDDING, payload={EventPayload.SERIALIZED: model}
        ) as event:
            yield
            vectors: list[Embedding] = [
                node.get_embedding() for own in parsed for node in own.nodes
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
            name: _parser_to_dict(own) for name, own in parser.node_parser_map.items()
        }
    return values


def _arguments(parsed: Sequence[_Parsed]) -> tuple[list[str], list[list[CharSpan]]]:
    return [own.text for own in parsed], [own.spans for own in parsed]


def _set_vectors(parsed: Sequence[_Parsed], vectors: Sequence[FloatArray]) -> None:
    for own, rows in zip(parsed, vectors, strict=True):
        for node, row in zip(own.nodes, rows, strict=True):
            node.embedding = row.tolist()


@contextmanager
def _naming(documents: Sequence[BaseNode], first: int) -> Generator[None]:
    """Name the document in an error that carries its position among these."""
    try:
        yield
    except JinaIntegrationsError as exc:
        index = getattr(exc, "index", None)
        if index is not None:
            _named(exc, documents[index], first + index)
        raise


def _named(error: JinaIntegrationsError, document: BaseNode, index: int) -> JinaIntegrationsError:
    error.args = (f"document {document.node_id!r:.80}: {error}",)
    error.__dict__["index"] = index
    return error


def _require_new_ids(nodes: Sequence[BaseNode], ids: set[str]) -> None:
    for node in nodes:
        if node.node_id in ids:
            raise InvalidInputError(
                f"two nodes have the id {node.node_id!r:.80}, so that a store would keep one of "
                "them: give the parser another id_func"
            )
        ids.add(node.node_id)
