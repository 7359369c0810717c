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
    assert [configuration.name for configuration in Grid().configurations] == [
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
        precisions=[None, "bfloat16"],
        quantizations=["none", "int8"],
        retrievals=["dense", "bm25", "hybrid"],
    )
    names = [configuration.name for configuration in grid.configurations]

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
    assert {configuration.baseline for configuration in grid.configurations} == {
        grid.configurations[0]
    }


@pytest.mark.parametrize(
    ("axis", "message"),
    [
        ({"chunkers": []}, "chunkers is empty"),
        ({"chunkers": [SentenceChunker(9), SentenceChunker(9)]}, "chunkers has a value twice"),
        ({"chunkers": ["sentence:9"]}, "chunkers: 'sentence:9' is no Chunker"),
        ({"chunkers": SentenceChunker(9)}, "chunkers must be a list of values"),
        ({"context_weights": [1.5]}, "context_weight must be less than or equal to 1, not 1.5"),
        ({"context_weights": [float("nan")]}, "context_weight must be a finite number"),
        ({"context_weights": [None]}, "context_weight must be a valid number, not None"),
        ({"context_weights": ["1"]}, "context_weight must be a valid number, not '1'"),
        ({"context_weights": [[0.5]]}, "context_weight must be a valid number"),
        ({"neighbour_weights": [0.0]}, "neighbour_weights: 0 adds no neighbours"),
        ({"neighbour_weights": [2]}, "neighbour_weight must be less than or equal to 1, not 2"),
        ({"dimensions": [0]}, "dimensions must be greater than or equal to 1, not 0"),
        ({"dimensions": 64}, "dimensions must be a list of values, not 64"),
        (
            {"precisions": ["int4"]},
            "precision must be 'auto', 'float32', 'bfloat16', 'float16' or 'int8'",
        ),
        ({"heading_contexts": ["on"]}, "heading_context must be a valid boolean, not 'on'"),
        ({"quantizations": ["pq"]}, "'binary-rescored', not 'pq'"),
        ({"retrievals": ["splade"]}, "'hybrid', not 'splade'"),
        ({"retrievals": "dense"}, "retrievals must be a list of values, not 'dense'"),
        ({"windows": []}, "windows is empty"),
        ({"windows": [512]}, r"windows: 512 is not \(window_tokens, overlap_tokens\)"),
        ({"windows": [(4, 0)]}, "window_tokens must be greater than or equal to 8, not 4"),
        ({"windows": [(64, "a")]}, "overlap_tokens must be a valid integer, not 'a'"),
    ],
)
def test_a_bad_axis_is_refused(axis: dict, message: str) -> None:
    with pytest.raises(InvalidSettingError, match=message):
        Grid(**axis)


def test_a_configuration_asks_the_embedder_for_its_settings() -> None:
    configuration = Configuration(
        chunker="sentence:64",
        context_weight=0.5,
        window_tokens=512,
        dimensions=64,
        quantization="int8",
        heading_context=True,
    )

    assert configuration.settings == {
        "context_weight": 0.5,
        "window_tokens": 512,
        "dimensions": 64,
    }
    assert configuration.name == "sentence:64 mix 0.5 window 512/auto 64d headings int8"
    assert configuration.baseline == Configuration(chunker="sentence:64")
    assert Configuration.from_dict(configuration.to_dict()) == configuration


def test_headings_are_an_axis_of_all_that_is_dense() -> None:
    grid = Grid(
        context_weights=[0.0, 1.0], heading_contexts=[False, True], retrievals=["dense", "bm25"]
    )

    assert [configuration.name for configuration in grid.configurations] == [
        "sentence:256 isolated",
        "sentence:256 isolated headings",
        "sentence:256 late",
        "sentence:256 late headings",
        "sentence:256 neighbours 0.3",
        "sentence:256 neighbours 0.3 headings",
        "sentence:256 bm25",
    ]
