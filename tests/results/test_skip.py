"""What is left out at the start of a run, by time or by fraction."""

from __future__ import annotations

import numpy as np
import pytest

from mlobs_client.results.skip import Skip
from mlobs_client.units import PICOSECOND


def no_times() -> np.ndarray:
    raise AssertionError("a fraction needs no times")


@pytest.mark.parametrize("percent", range(100))
def test_a_percentage_of_a_hundred_samples_is_that_many(percent: int) -> None:
    assert Skip(fraction=percent / 100.0).count(100, no_times) == percent


def test_a_sample_at_the_end_of_the_time_remains_although_times_are_rounded() -> None:
    times = 7.0 + PICOSECOND * np.round(0.0005 * np.arange(1000), 7)
    shaken = times + PICOSECOND * np.random.default_rng(0).uniform(-1e-7, 1e-7, 1000)
    for known in (times, shaken):
        counts = [Skip(0.0005 * n).count(1000, lambda known=known: known) for n in range(1, 1000)]
        assert counts == list(range(1, 1000))


def test_a_time_between_two_samples_leaves_out_the_first_and_a_long_one_all() -> None:
    times = PICOSECOND * np.arange(4.0)
    assert [Skip(ps).count(4, lambda: times) for ps in (0.5, 1.5, 9.0)] == [1, 2, 4]


def test_it_is_printed_as_a_user_gives_it() -> None:
    assert [str(Skip(2.5)), str(Skip(fraction=0.15)), str(Skip())] == ["2.5 ps", "15%", "0%"]
