from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import bootstrap

from jina_integrations.evaluation.bootstrap import RESAMPLES, difference, resampled_means


def gains(count: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).choice([-0.5, 0.0, 0.0, 0.3, 1.0], size=count)


@pytest.mark.parametrize("count", [12, 300])
def test_the_interval_is_that_of_scipy(count: int) -> None:
    values = gains(count)
    gain = difference(values, resampled_means(values[:, None])[:, 0])
    theirs = bootstrap(
        (values,), np.mean, n_resamples=RESAMPLES, method="percentile", rng=np.random.default_rng(7)
    )

    spread = theirs.standard_error
    assert gain.mean == pytest.approx(values.mean())
    assert gain.low == pytest.approx(theirs.confidence_interval.low, abs=0.08 * spread)
    assert gain.high == pytest.approx(theirs.confidence_interval.high, abs=0.08 * spread)
    above = float((theirs.bootstrap_distribution > 0).mean())
    assert gain.share_above == pytest.approx(above, abs=0.02)


def test_columns_share_their_draws_so_that_differences_are_paired() -> None:
    first, second = gains(40, 1), gains(40, 2)
    means = resampled_means(np.stack([first, second, first - second], axis=1))

    assert means.shape == (RESAMPLES, 3)
    np.testing.assert_allclose(means[:, 0] - means[:, 1], means[:, 2], atol=1e-12)


def test_the_same_questions_give_the_same_interval() -> None:
    values = gains(50)[:, None]

    np.testing.assert_array_equal(resampled_means(values), resampled_means(values))


def test_one_question_is_never_clear() -> None:
    values = np.array([0.4])
    gain = difference(values, resampled_means(values[:, None])[:, 0])

    assert (gain.low, gain.high) == (-1.0, 1.0)
    assert not gain.clear


def test_equal_configurations_do_not_differ() -> None:
    values = np.zeros(20)
    gain = difference(values, resampled_means(values[:, None])[:, 0])

    assert (gain.mean, gain.low, gain.high, gain.share_above) == (0.0, 0.0, 0.0, 0.0)
    assert not gain.clear
