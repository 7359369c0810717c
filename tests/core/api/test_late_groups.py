"""Pieces and groups of late chunking through the API, against definitions written out plainly."""

from __future__ import annotations

import math
from collections import Counter
from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from jina_integrations.backends.api.late_groups import Group, Piece, cover, plan_groups
from jina_integrations.errors import InvalidSpanError, TextTooLongError

TEXTS = st.text(st.sampled_from("ab é你\n\t \u3000.😀"), min_size=1, max_size=60)


@st.composite
def documents(draw: st.DrawFn) -> tuple[str, list[tuple[int, int]]]:
    """A text and spans of it that do not overlap, each with something in it, in any order."""
    text = draw(TEXTS)
    cuts = sorted(draw(st.sets(st.integers(0, len(text)), max_size=12)))
    spans = [
        (start, end)
        for start, end in pairwise(cuts)
        if text[start:end].strip() and draw(st.booleans())
    ]
    return text, draw(st.permutations(spans))


@given(documents())
def test_pieces_join_to_the_text_and_each_span_is_in_one_of_its_own(
    document: tuple[str, list[tuple[int, int]]],
) -> None:
    text, spans = document
    if not text.strip():
        return
    pieces = cover(text, spans, position=0)

    assert "".join(text[piece.start : piece.end] for piece in pieces) == text
    assert all(a.end == b.start for a, b in pairwise(pieces))
    holders = {piece.span_index: piece for piece in pieces if piece.span_index is not None}
    assert sorted(holders) == list(range(len(spans)))
    assert sum(piece.span_index is not None for piece in pieces) == len(spans)
    for index, (start, end) in enumerate(spans):
        piece = holders[index]
        assert text[piece.start : start].strip() == ""
        assert text[end : piece.end].strip() == ""
        assert piece.start == start or piece.start == 0
    for piece in pieces:
        assert text[piece.start : piece.end].strip()


@given(documents(), st.randoms())
def test_the_order_of_the_spans_does_not_matter(
    document: tuple[str, list[tuple[int, int]]], random: object
) -> None:
    text, spans = document
    ordered = sorted(spans)

    given_order = [
        (p.start, p.end, None if p.span_index is None else spans[p.span_index])
        for p in cover(text, spans, position=0)
    ]
    sorted_order = [
        (p.start, p.end, None if p.span_index is None else ordered[p.span_index])
        for p in cover(text, ordered, position=0)
    ]

    assert given_order == sorted_order


def test_whitespace_goes_to_the_piece_before_it() -> None:
    text = "  one \n two  and three "

    assert cover(text, [(8, 11), (2, 5)], position=0) == [
        Piece(0, 8, 1),
        Piece(8, 13, 0),
        Piece(13, 23, None),
    ]
    assert cover("  intro  one", [(9, 12)], position=0) == [Piece(0, 9, None), Piece(9, 12, 0)]


def test_a_long_gap_is_cut_at_whitespace_and_elsewhere_where_it_has_none() -> None:
    words = "word " * 300
    solid = "字" * 1000
    text = f"start {words}{solid} end"

    pieces = cover(text, [(0, 5), (len(text) - 3, len(text))], position=0)

    gaps = [text[piece.start : piece.end] for piece in pieces if piece.span_index is None]
    assert "".join(gaps) == f"{words}{solid} "
    assert all(len(gap.strip()) <= 400 for gap in gaps)
    assert all(gap.endswith("word ") for gap in gaps[:3])
    assert len(gaps) <= 8


@pytest.mark.parametrize(
    ("spans", "named"),
    [
        (
            [(0, 5), (4, 8)],
            r"spans\[1\] of texts\[7\] is \(4, 8\) and overlaps spans\[0\], \(0, 5\)",
        ),
        (
            [(4, 8), (0, 5)],
            r"spans\[0\] of texts\[7\] is \(4, 8\) and overlaps spans\[1\], \(0, 5\)",
        ),
        ([(0, 5), (0, 5)], "overlap"),
        ([(0, 12), (3, 5)], "overlap"),
    ],
)
def test_overlapping_spans_are_refused_with_a_way_out(
    spans: list[tuple[int, int]], named: str
) -> None:
    with pytest.raises(InvalidSpanError, match=named) as caught:
        cover("some text here", spans, position=7)

    assert caught.value.index == 7
    assert "backend='local'" in str(caught.value)
    assert "texts[7]" in str(caught.value)


def test_a_span_of_whitespace_is_refused() -> None:
    with pytest.raises(InvalidSpanError, match=r"spans\[1\] of texts\[3\]") as caught:
        cover("one  two", [(0, 3), (3, 5)], position=3)

    assert caught.value.index == 3


PLANS = st.tuples(
    st.lists(st.integers(0, 12), max_size=40),
    st.integers(12, 60),
    st.integers(0, 70),
    st.integers(1, 9),
)


@given(PLANS)
@example(([12] * 10, 12, 70, 9))
@example(([0] * 20, 12, 0, 3))
@example(([1] * 40, 12, 11, 9))
def test_groups_cover_all_pieces_within_the_limits(plan: tuple[list[int], int, int, int]) -> None:
    tokens, context, overlap, most = plan
    groups = plan_groups(tokens, context=context, overlap=overlap, position=0, max_inputs=most)

    assert sorted(piece for group in groups for piece in group.wanted) == list(range(len(tokens)))
    for group in groups:
        assert group.wanted
        assert list(group.wanted) == sorted(group.wanted)
        assert group.first <= group.wanted[0] <= group.wanted[-1] < group.last
        assert group.tokens == sum(tokens[group.first : group.last]) <= context
        assert group.last - group.first <= most
    for one, two in pairwise(groups):
        assert one.first < two.first
        assert one.last < two.last


def wished_ranges(
    tokens: list[int], context: int, overlap: int, most: int
) -> list[tuple[int, int]]:
    """The definition, piece by piece: fill up, then step back for as long as there is need."""

    def fits(first: int, last: int) -> bool:
        return sum(tokens[first:last]) <= context and last - first <= most

    ranges: list[tuple[int, int]] = []
    first = 0
    while first < len(tokens):
        last = first + 1
        while last < len(tokens) and fits(first, last + 1):
            last += 1
        ranges.append((first, last))
        if last == len(tokens):
            break
        first = last
        while sum(tokens[first:last]) < overlap and first > 0 and fits(first - 1, last + 1):
            first -= 1
    return ranges


def centrality(tokens: list[int], piece: int, group: tuple[int, int]) -> float:
    first, last = group
    ahead = math.inf if first == 0 else sum(tokens[first:piece])
    behind = math.inf if last == len(tokens) else sum(tokens[piece + 1 : last])
    return min(ahead, behind)


@given(PLANS)
def test_groups_share_the_overlap_and_pieces_come_from_where_they_are_most_central(
    plan: tuple[list[int], int, int, int],
) -> None:
    tokens, context, overlap, most = plan
    expected: dict[tuple[int, int], list[int]] = {}
    ranges = wished_ranges(tokens, context, overlap, most)
    for piece in range(len(tokens)):
        best = max(
            (own for own in ranges if own[0] <= piece < own[1]),
            key=lambda own: (centrality(tokens, piece, own), -own[0]),
        )
        expected.setdefault(best, []).append(piece)

    groups = plan_groups(tokens, context=context, overlap=overlap, position=0, max_inputs=most)

    assert [((group.first, group.last), list(group.wanted)) for group in groups] == sorted(
        expected.items()
    )


@given(PLANS, st.data())
def test_only_needed_pieces_are_asked_for(
    plan: tuple[list[int], int, int, int], data: st.DataObject
) -> None:
    tokens, context, overlap, most = plan
    needed = data.draw(st.lists(st.booleans(), min_size=len(tokens), max_size=len(tokens)))
    everything = plan_groups(tokens, context=context, overlap=overlap, position=0, max_inputs=most)
    groups = plan_groups(
        tokens, context=context, overlap=overlap, position=0, max_inputs=most, needed=needed
    )

    home = {piece: (own.first, own.last) for own in everything for piece in own.wanted}
    asked = Counter(piece for group in groups for piece in group.wanted)
    assert asked == Counter(piece for piece, own in enumerate(needed) if own)
    assert all(group.wanted for group in groups)
    assert all(home[piece] == (own.first, own.last) for own in groups for piece in own.wanted)


def test_a_document_that_fits_is_one_request() -> None:
    assert plan_groups([5, 5, 5], context=15, overlap=4, position=0) == [Group(0, 3, (0, 1, 2), 15)]


def test_a_longer_document_takes_each_piece_from_its_most_central_group() -> None:
    groups = plan_groups([10] * 8, context=50, overlap=20, position=0)

    # Piece 3 has 10 tokens after it in the first group, and none before it in the second.
    assert groups == [Group(0, 5, (0, 1, 2, 3), 50), Group(3, 8, (4, 5, 6, 7), 50)]
    assert sum(group.tokens for group in groups) == 100


def test_no_more_pieces_than_a_request_takes() -> None:
    groups = plan_groups([1] * 1000, context=8000, overlap=100, position=0)

    assert [(group.first, group.last) for group in groups] == [(0, 512), (412, 924), (824, 1000)]


def test_a_piece_over_the_context_is_an_error_that_says_how_long_it_is() -> None:
    with pytest.raises(TextTooLongError, match=r"texts\[4\]") as caught:
        plan_groups([10, 101, 10], context=100, overlap=10, position=4)

    assert (caught.value.tokens, caught.value.limit, caught.value.index) == (101, 100, 4)
