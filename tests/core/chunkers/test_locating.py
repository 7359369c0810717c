"""Where pieces of other splitters lie, against splitters whose positions are known."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jina_integrations.chunkers.locating import locate
from jina_integrations.errors import InvalidSpanError


def test_pieces_that_repeat_follow_each_other():
    text = "x\nx\nx\nx\nx\nx"
    assert locate(text, ["x\nx\nx", "x\nx\nx"], overlap_fits=lambda shared: not shared) == [
        (0, 5),
        (6, 11),
    ]


def test_an_overlap_is_as_long_as_the_splitter_allows():
    text = "a b a b a b a b"
    assert locate(text, ["a b a b", "a b a b"], overlap_fits=lambda shared: len(shared) <= 3) == [
        (0, 7),
        (4, 11),
    ]


def test_an_overlap_measured_in_another_unit_is_still_found():
    text = "one two three four five"
    found = locate(text, ["one two three", "two three four"], overlap_fits=lambda s: len(s) <= 2)
    assert found == [(0, 13), (4, 18)]


def test_separators_may_be_left_out():
    assert locate("a###b###c", ["a", "b", "c"]) == [(0, 1), (4, 5), (8, 9)]


@pytest.mark.parametrize("piece", ["", "other", "Bread  "])
def test_a_changed_piece_is_refused_with_its_index(piece):
    with pytest.raises(InvalidSpanError, match="has changed it") as caught:
        locate("Bread is sold out.", ["Bread", piece])
    assert caught.value.index == 1


@given(st.text(alphabet="ab \n", max_size=60), st.integers(1, 7))
def test_pieces_of_any_text_without_overlap_are_where_they_were_cut(text, width):
    """Whitespace between pieces is lost, as splitters that strip do."""
    spans = [
        (match.start(), match.end())
        for start in range(0, len(text), width)
        if (match := re.compile(r"\S(.*\S)?", re.DOTALL).search(text, start, start + width))
    ]
    pieces = [text[start:end] for start, end in spans]
    assert locate(text, pieces, overlap_fits=lambda shared: not shared) == spans
