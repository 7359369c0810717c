"""A chunker of this package as LlamaIndex's node parser."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from llama_index.core.node_parser.interface import NodeParser
from llama_index.core.node_parser.node_utils import build_nodes_from_splits
from llama_index.core.schema import BaseNode, Document, MetadataMode, TextNode
from pydantic import Field

from jina_integrations.chunkers import Chunker
from jina_integrations.embedder import Embedder

__all__ = ["ChunkerNodeParser"]


class ChunkerNodeParser(NodeParser):
    """Nodes with the relationships of any node parser, at the chunker's own character spans."""

    chunker: Chunker = Field(frozen=True)
    embedder: Embedder = Field(frozen=True)

    @classmethod
    def class_name(cls) -> str:
        """``"ChunkerNodeParser"``."""
        return "ChunkerNodeParser"

    def _parse_nodes(
        self,
        nodes: Sequence[BaseNode],
        show_progress: bool = False,  # noqa: ARG002 - one document at a time
        **kwargs: Any,  # noqa: ANN401, ARG002 - the signature of the base
    ) -> list[BaseNode]:
        parsed: list[BaseNode] = []
        for document in nodes:
            text = document.get_content(metadata_mode=MetadataMode.NONE)
            spans = self.chunker.spans(text, self.embedder.tokenizer)
            pieces = [text[start:end] for start, end in spans]
            own = build_nodes_from_splits(pieces, document, id_func=self.id_func)
            for node, (start, end) in zip(own, spans, strict=True):
                node.start_char_idx, node.end_char_idx = start, end
            parsed += own
        return parsed

    def _postprocess_parsed_nodes(
        self, nodes: list[BaseNode], parent_doc_map: dict[str, Document]
    ) -> list[BaseNode]:
        """The base's, which would set indices to where a search finds the text first."""
        own = [node for node in nodes if isinstance(node, TextNode)]
        spans = [(node.start_char_idx, node.end_char_idx) for node in own]
        done = super()._postprocess_parsed_nodes(nodes, parent_doc_map)
        for node, (start, end) in zip(own, spans, strict=True):
            node.start_char_idx, node.end_char_idx = start, end
        return done
