"""Where the nodes of a node parser lie in their document."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from llama_index.core.schema import TextNode

from jina_integrations.chunkers.locating import locate
from jina_integrations.types import CharSpan

__all__ = ["find_spans"]


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
    for parent_id, own in by_parent.items():
        first, last = spans.get(parent_id, spans[None])
        for node, (start, end) in zip(own, _place(text[first:last], own), strict=True):
            spans[node.node_id] = first + start, first + end
    return [spans[node.node_id] for node in nodes]


def _place(text: str, nodes: Sequence[TextNode]) -> list[CharSpan]:
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
