"""Nodes of a document, and where each of them lies in it."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from llama_index.core.node_parser.interface import NodeParser
from llama_index.core.node_parser.node_utils import build_nodes_from_splits
from llama_index.core.schema import BaseNode, Document, MetadataMode, TextNode
from pydantic import Field

from jina_integrations.adapting import locate
from jina_integrations.errors import InvalidSpanError
from jina_integrations.types import CharSpan

__all__ = ["SpanNodeParser", "parse_document"]


class SpanNodeParser(NodeParser):
    """Nodes at given spans of one document, with the relationships of any node parser."""

    spans: list[CharSpan] = Field(frozen=True)

    @classmethod
    def class_name(cls) -> str:
        """``"SpanNodeParser"``."""
        return "SpanNodeParser"

    def _parse_nodes(
        self,
        nodes: Sequence[BaseNode],
        show_progress: bool = False,  # noqa: ARG002 - there is one document
        **kwargs: Any,  # noqa: ANN401, ARG002 - the signature of the base
    ) -> list[BaseNode]:
        (document,) = nodes
        text = document.get_content(metadata_mode=MetadataMode.NONE)
        pieces = [text[start:end] for start, end in self.spans]
        return [*build_nodes_from_splits(pieces, document, id_func=self.id_func)]

    def _postprocess_parsed_nodes(
        self, nodes: list[BaseNode], parent_doc_map: dict[str, Document]
    ) -> list[BaseNode]:
        """The base's; the indices that it sets are where a search finds the text first."""
        done = super()._postprocess_parsed_nodes(nodes, parent_doc_map)
        for node, span in zip(done, self.spans, strict=True):
            if isinstance(node, TextNode):
                node.start_char_idx, node.end_char_idx = span
        return done


def parse_document(
    document: BaseNode, text: str, parser: NodeParser, options: dict[str, Any]
) -> list[tuple[TextNode, CharSpan]]:
    """The nodes that a parser makes of a document, each with its place, which it gets to know.

    Args:
        document: Parsed alone: parsers look nodes up by the ids of all that they are given.
        text: The document's.
        parser: A node parser.
        options: For the parser.

    Raises:
        InvalidSpanError: it gave no nodes, or changed the text.
    """
    name = type(parser).__name__
    nodes = parser([document], **options)
    pieces = [node for node in nodes if isinstance(node, TextNode)]
    if not pieces or len(pieces) != len(nodes):
        raise InvalidSpanError(f"{name} gave {len(nodes)} nodes, {len(pieces)} of them with text")
    try:
        spans = find_spans(text, pieces)
    except InvalidSpanError as exc:
        raise InvalidSpanError(f"cut by {name}: {exc}") from exc
    for node, (start, end) in zip(pieces, spans, strict=True):
        node.start_char_idx, node.end_char_idx = start, end
    return list(zip(pieces, spans, strict=True))


def find_spans(text: str, nodes: Sequence[TextNode]) -> list[CharSpan]:
    """The character span of each node.

    Node parsers search for each node's text and take what they find first: for a text that occurs
    more than once that may be inside the node before. Such indices are not taken over. Those of
    children, of a hierarchical parser, count in their parent's text, so they are placed there.

    Args:
        text: The document.
        nodes: All that a parser made of it, in its order.

    Raises:
        InvalidSpanError: a node's text is not in the document's; carries its position among those
            of the same parent.
    """
    by_parent: dict[str | None, list[TextNode]] = {}
    for node in nodes:
        parent = node.parent_node
        by_parent.setdefault(parent.node_id if parent else None, []).append(node)
    spans: dict[str | None, CharSpan] = {None: (0, len(text))}
    for parent_id, children in by_parent.items():
        first, last = spans.get(parent_id, spans[None])
        for node, (start, end) in zip(children, _spans_in(text[first:last], children), strict=True):
            spans[node.node_id] = first + start, first + end
    return [spans[node.node_id] for node in nodes]


def _spans_in(text: str, nodes: Sequence[TextNode]) -> list[CharSpan]:
    given = [(node.start_char_idx, node.end_char_idx) for node in nodes]
    spans = [(start, end) for start, end in given if start is not None and end is not None]
    if (
        len(spans) == len(nodes)
        and all(
            text[start:end] == node.text and start >= 0
            for node, (start, end) in zip(nodes, spans, strict=True)
        )
        and all(before[0] < start and before[1] < end for before, (start, end) in pairwise(spans))
    ):
        return spans
    return locate(text, [node.text for node in nodes], overlap_fits=lambda overlap: not overlap)
