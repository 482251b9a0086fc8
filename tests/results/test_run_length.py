"""Lengths that runs lack are said in ps and in steps, rounded up, and are long enough."""

from __future__ import annotations

import copy
import re

import numpy as np
from error_bars import relaxation

from mlobs_client.results.run_length import Interval, lasting, longer_by, longer_for_blocks
from mlobs_client.results.statistics import independent_blocks, mean


def test_a_length_is_rounded_up_to_two_digits() -> None:
    assert longer_by(73.2) == "74 samples more"
    assert longer_by(73.2, 0.175) == "13 ps more"
    assert longer_by(73.2, Interval(0.002, 4), n_runs=2) == "0.15 ps (300 steps) more in each run"
    # 10 samples of 0.1 ps are 1 ps, whatever the rounding of 0.1
    assert lasting(10, 0.1) == "1 ps"
    assert lasting(1234, Interval(0.5, 1000)) == "650 ps (1300000 steps)"


def test_an_interval_is_a_time_in_ps() -> None:
    assert 2.0 * Interval(0.5, 1000) == 1.0
    assert copy.deepcopy(Interval(0.5, 1000)).steps == 1000
    assert Interval(0.5, 1000).steps == 1000


def test_runs_of_any_length_that_are_so_much_longer_have_the_blocks() -> None:
    lengths = [95, 40, 3]
    (more,) = re.findall(r"(\d+) samples more in each run", longer_for_blocks(lengths, 10, 20))
    # 95, 40 and 3 samples hold 13 blocks of 10; with 25 more they hold 12 + 6 + 2
    assert int(more) == 25
    assert sum((length + 24) // 10 for length in lengths) == 20 - 1


def test_a_mean_has_an_error_after_the_time_that_was_said() -> None:
    enough = []
    for seed in range(60):
        series = relaxation(8000, 10.0, np.random.default_rng(seed))[:, 0]
        found = mean(series[:150], interval=0.1)
        if found.no_error:
            (more,) = re.findall(r"run about ([\d.]+) ps more", found.no_error)
            enough.append(not mean(series[: 150 + round(float(more) / 0.1)]).no_error)
    # 0.94 of 48: the number of independent samples of so short a series is known to a third only
    assert len(enough) == 48
    assert np.mean(enough) > 0.9


def test_blocks_are_independent_after_the_time_that_was_said() -> None:
    enough = []
    for seed in range(20):
        series = relaxation(8000, 10.0, np.random.default_rng(seed))[:, 0]
        _, reason = independent_blocks([series[:300]], 10, [series[:300]])
        if reason:
            (more,) = re.findall(r"run about ([\d.]+) samples more", reason)
            longer = [series[: 300 + int(more)]]
            enough.append(not independent_blocks(longer, 10, longer)[1])
    # 0.83 of 18; without the margin 0.61
    assert len(enough) == 18
    assert np.mean(enough) > 0.8
