"""Windows, pooling weights and batches, against plain loops."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jina_integrations.backends.local.batches import plan_batches
from jina_integrations.backends.local.late_chunking import pool_plan, window_ranges

windows = st.integers(2, 40).flatmap(
    lambda window: st.tuples(st.integers(1, 300), st.just(window), st.integers(0, window - 1))
)


@given(windows)
def test_windows_cover_every_token_and_share_the_overlap(case: tuple[int, int, int]) -> None:
    tokens, window, overlap = case
    ranges = window_ranges(tokens, window, overlap)
    assert ranges[0][0] == 0
    assert ranges[-1][1] == tokens
    assert all(0 < end - start <= window for start, end in ranges)
    for (start, end), (following, _) in pairwise(ranges):
        assert end - start == window
        assert end - following == overlap
    # One window fewer would not reach the end.
    assert len(ranges) == 1 or ranges[-2][1] < tokens


@given(windows, st.data())
def test_the_plan_is_the_mean_over_windows_then_over_tokens(
    case: tuple[int, int, int], data: st.DataObject
) -> None:
    tokens, window, overlap = case
    row_sets = data.draw(
        st.lists(
            st.sets(st.integers(0, tokens - 1), min_size=1).map(sorted), min_size=1, max_size=5
        )
    )
    random = np.random.default_rng(tokens)
    ranges = window_ranges(tokens, window, overlap)
    encoded = [random.normal(size=(end - start, 3)) for start, end in ranges]

    merged = []
    for token in range(tokens):
        seen = [e[token - s] for (s, t), e in zip(ranges, encoded, strict=True) if s <= token < t]
        merged.append(np.mean(seen, axis=0))
    expected = [np.mean([merged[row] for row in rows], axis=0) for rows in row_sets]

    ids = np.arange(tokens)
    plan = pool_plan(
        ids, [np.array(rows) for rows in row_sets], first_vector=2, window=window, overlap=overlap
    )
    got = np.zeros((2 + len(row_sets), 3))
    by_range = {(start, end): e for (start, end), e in zip(ranges, encoded, strict=True)}
    for sequence in plan:
        hidden = by_range[int(sequence.ids[0]), int(sequence.ids[-1]) + 1]
        np.add.at(got, sequence.vectors, hidden[sequence.rows] * sequence.weights[:, None])
    assert not got[:2].any()
    np.testing.assert_allclose(got[2:], expected, atol=1e-6)


@given(st.lists(st.integers(1, 500), max_size=60), st.integers(1, 400))
def test_packed_batches_hold_each_sequence_once_within_the_budget(
    lengths: list[int], budget: int
) -> None:
    batches = plan_batches(lengths, max_tokens=budget)
    assert sorted(index for batch in batches for index in batch) == list(range(len(lengths)))
    for batch in batches:
        assert len(batch) == 1 or sum(lengths[index] for index in batch) <= budget
    flat = [lengths[index] for batch in batches for index in batch]
    assert flat == sorted(flat, reverse=True)


@given(st.lists(st.integers(1, 500), max_size=60), st.integers(1, 4000))
def test_padded_batches_hold_at_most_two_percent_of_padding(
    lengths: list[int], budget: int
) -> None:
    batches = plan_batches(lengths, max_tokens=budget, max_padding=0.02)
    assert sorted(index for batch in batches for index in batch) == list(range(len(lengths)))
    for batch in batches:
        own = [lengths[index] for index in batch]
        size = max(own) * len(own)
        assert len(batch) == 1 or size <= budget
        assert size - sum(own) <= 0.02 * size


@pytest.mark.parametrize("tokens", [1, 511, 512, 513, 768, 769])
def test_window_counts(tokens: int) -> None:
    expected = {1: 1, 511: 1, 512: 1, 513: 2, 768: 2, 769: 3}
    assert len(window_ranges(tokens, 512, 256)) == expected[tokens]
