from __future__ import annotations

import pytest

from jina_integrations import MarkdownChunker, SentenceChunker, SpanChunker, TokenChunker
from jina_integrations.chunkers import parse_chunker
from jina_integrations.errors import InvalidSettingError
from jina_integrations.evaluation import Configuration, Grid, chunker_name


@pytest.mark.parametrize(
    "chunker",
    [
        SentenceChunker(128),
        SentenceChunker(128, overlap_sentences=2),
        TokenChunker(64, overlap_tokens=8),
        TokenChunker(64, overlap_tokens=0),
        MarkdownChunker(256),
    ],
)
def test_a_chunkers_name_is_the_word_of_the_command_line(chunker: object) -> None:
    assert parse_chunker(chunker_name(chunker)) == chunker


def test_ones_own_chunker_is_named_by_its_name() -> None:
    chunker = SpanChunker(lambda text: [(0, len(text))], name="whole")

    assert chunker_name(chunker) == "span:whole"


def test_the_default_grid_compares_late_chunking_with_its_controls() -> None:
    assert [own.name for own in Grid().configurations] == [
        "sentence:256 isolated",
        "sentence:256 mix 0.25",
        "sentence:256 mix 0.5",
        "sentence:256 late",
        "sentence:256 neighbours 0.3",
    ]


def test_every_combination_is_there_once_with_a_name_of_its_own() -> None:
    grid = Grid(
        chunkers=[SentenceChunker(64), SentenceChunker(128)],
        context_weights=[0.0, 0.5, 1.0],
        windows=[(None, None), (512, 256)],
        dimensions=[None, 64],
        dtypes=[None, "bfloat16"],
        quantizations=["none", "int8"],
        retrievals=["dense", "bm25", "hybrid"],
    )
    names = [own.name for own in grid.configurations]

    # isolated and neighbours have no window: 1 + 2 * 2 + 1 ways to make a vector.
    assert len(names) == 2 * (6 * 2 * 2 * 2 * 2 + 1)
    assert len(set(names)) == len(names)
    assert "sentence:64 mix 0.5 window 512/256 64d bfloat16 int8 hybrid" in names
    assert "sentence:128 bm25" in names


def test_the_baseline_is_measured_in_any_case() -> None:
    grid = Grid(context_weights=[1.0], neighbour_weights=[], dimensions=[64])

    assert grid.configurations == (
        Configuration(chunker="sentence:256"),
        Configuration(chunker="sentence:256", context_weight=1.0, dimensions=64),
    )
    assert {own.baseline for own in grid.configurations} == {grid.configurations[0]}


@pytest.mark.parametrize(
    ("axis", "message"),
    [
        ({"chunkers": []}, "chunkers is empty"),
        ({"chunkers": [SentenceChunker(9), SentenceChunker(9)]}, "chunkers has a value twice"),
        ({"context_weights": [1.5]}, "1.5 is not from 0 to 1"),
        ({"context_weights": [float("nan")]}, "not from 0 to 1"),
        ({"neighbour_weights": [0.0]}, "not over 0"),
        ({"dtypes": ["int4"]}, "'int4' is none of"),
        ({"quantizations": ["pq"]}, "'binary-rescored'"),
        ({"retrievals": ["splade"]}, "'hybrid'"),
        ({"windows": []}, "windows is empty"),
    ],
)
def test_a_bad_axis_is_refused(axis: dict, message: str) -> None:
    with pytest.raises(InvalidSettingError, match=message):
        Grid(**axis)
