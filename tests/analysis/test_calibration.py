"""Committees of which everything is known: members and the truth are drawn from one normal law."""

from __future__ import annotations

import numpy as np
import pytest

from mlobs_client.analysis.calibration import Errors, calibrate, coverage
from mlobs_client.analysis.reliability import reliability
from mlobs_client.errors import ConfigError


def committee(
    n_members: int,
    alpha: float,
    seed: int = 0,
    n_frames: int = 400,
    n_rows: int = 12,
    width: float = 0.5,
    of_frames: float = 0.0,
) -> Errors:
    """Three components for each row, with log-normal widths.

    Args:
        n_members: of the committee.
        alpha: width of the truth over that of the members.
        seed: of all numbers.
        n_frames: structures.
        n_rows: of each of them.
        width: of the logarithm of the widths of rows.
        of_frames: the same of a factor that all rows of a structure share, of errors alone.
    """
    random = np.random.default_rng(seed)
    shape = (n_frames * n_rows, 3)
    frames = np.repeat(np.arange(n_frames), n_rows)
    widths = np.exp(width * random.normal(size=shape[0]))[:, None]
    members = widths * random.normal(size=(n_members, *shape))
    # E[exp(2 w x)] = exp(2 w^2): the mean square of the errors stays the same
    common = np.exp(of_frames * random.normal(size=n_frames) - of_frames**2)[frames, None]
    truth = alpha * common * widths * random.normal(size=shape)
    mean = members.mean(axis=0)
    return Errors("forces", "eV/angstrom", truth - mean, members - mean, frames)


@pytest.mark.parametrize("n_members", [4, 5, 8])
@pytest.mark.parametrize("alpha", [0.5, 1.0, 2.0])
def test_a_known_alpha_is_found_within_a_tenth_and_within_its_error(n_members, alpha) -> None:
    found = calibrate(committee(n_members, alpha, seed=n_members))
    assert found.alpha == pytest.approx(alpha, rel=0.1)
    assert abs(found.alpha - alpha) < 3.0 * found.error
    assert found.error < 0.05 * alpha


def test_both_formulas_agree_where_both_have_a_variance_and_one_is_told_below_it() -> None:
    eight = calibrate(committee(8, 2.0, seed=1))
    assert eight.mean_of_ratios is not None
    alpha, error = eight.mean_of_ratios
    assert alpha == pytest.approx(2.0, rel=0.1)
    assert abs(alpha - 2.0) < 3.0 * error
    assert calibrate(committee(5, 2.0)).mean_of_ratios is None
    assert calibrate(committee(8, 2.0, n_frames=30)).mean_of_ratios is None


def test_the_error_of_alpha_is_its_scatter_though_errors_within_a_structure_belong_together() -> (
    None
):
    found = [
        calibrate(committee(4, 1.5, seed, n_frames=30, width=0.3, of_frames=0.35))
        for seed in range(120)
    ]
    scatter = np.std([one.alpha for one in found], ddof=1)  # known to 6 %
    # the bootstrap of 30 numbers is a little low; drawing single rows would give half of it
    assert 0.8 < np.mean([one.error for one in found]) / scatter < 1.15


@pytest.mark.parametrize(("n_members", "alpha"), [(3, 1.0), (5, 1.0), (8, 2.0)])
def test_the_bins_of_a_perfect_committee_are_on_the_line_that_is_expected(n_members, alpha) -> None:
    data = committee(n_members, alpha, seed=3)
    found = reliability(data, alpha)
    assert found.slope == pytest.approx(np.sqrt(1.0 + 1.0 / (n_members * alpha**2)))
    assert len(found.spreads) == 10
    assert found.spreads[-1] > 2.0 * found.spreads[0]
    pulls = (found.errors - found.slope * found.spreads) / found.uncertainties
    # of 10 bins, with errors of the spreads as well; binned by the whole spread of one component,
    # the first and the last would be 10 off
    assert np.sqrt(np.mean(pulls**2)) < 2.0
    slope = np.polyfit(found.spreads, found.errors, 1)[0]
    assert slope == pytest.approx(found.slope, rel=0.08)


def test_a_spread_that_says_nothing_gives_a_flat_diagram() -> None:
    data = committee(4, 1.0, seed=5, width=0.6)
    shuffled = np.random.default_rng(0).permutation(len(data.errors))
    unrelated = Errors("x", "e", data.errors[shuffled], data.deviations, data.frames)
    found = reliability(unrelated, 1.0)
    assert found.errors[-1] / found.errors[0] < 1.2
    assert found.spreads[-1] / found.spreads[0] > 2.0
    correlation = calibrate(unrelated).rank_correlation
    assert correlation is not None
    assert abs(correlation) < 0.06  # 4800 rows: a standard error of 0.014


def test_normal_errors_are_covered_as_students_t_says() -> None:
    data = committee(4, 0.8, seed=7)
    for multiple in (1.0, 2.0):
        found = coverage(data, 0.8, multiple)
        # 14400 components: a standard error of 0.004 at most
        assert found.observed == pytest.approx(found.expected, abs=0.016)
    # by hand, for many members: 68.3 % of a normal law
    assert coverage(committee(400, 1.0, n_frames=5), 1.0, 1.0).expected == pytest.approx(
        0.683, abs=2e-3
    )


def test_the_rank_correlation_is_one_where_the_spread_knows_the_error() -> None:
    data = committee(4, 1.0, n_frames=10)
    known = Errors("x", "e", np.sqrt(data.variances), data.deviations, data.frames)
    found = calibrate(known)
    assert found.rank_correlation == pytest.approx(1.0)
    assert found.smallest_spread == pytest.approx(data.row_spreads.min())
    assert found.largest_spread == pytest.approx(data.row_spreads.max())
    same = Errors("x", "e", np.ones_like(data.errors), data.deviations, data.frames)
    assert calibrate(same).rank_correlation is None


def test_what_cannot_be_calibrated_is_refused_in_one_line() -> None:
    with pytest.raises(ConfigError, match="2 members cannot be calibrated"):
        calibrate(committee(2, 1.0, n_frames=10))
    with pytest.raises(ConfigError, match="4 labelled structures are too few"):
        calibrate(committee(4, 1.0, n_frames=4))
    good = committee(4, 1.0, n_frames=10)
    with pytest.raises(ConfigError, match="all members agree"):
        calibrate(Errors("x", "e", good.errors, np.zeros_like(good.deviations), good.frames))
    with pytest.raises(ConfigError, match=r"alpha\^2 = -0.2"):
        calibrate(Errors("x", "e", 0.1 * good.errors, good.deviations, good.frames))
