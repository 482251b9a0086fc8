"""Calibrations of committees whose alpha is known: do their printed errors cover it?

Members and labels are normal, half of each component is common to all atoms of a structure, and the
widths of structures differ.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Final

import numpy as np

from mlobs_client.analysis.calibration import Errors, calibrate
from mlobs_client.analysis.reliability import reliability
from mlobs_client.errors import ConfigError

Outcome = tuple[float, float, float] | None
"""Value, its error, and the exact value; None where a calibration is refused."""

ALPHA: Final = 1.5


def draw(n_members: int, widths: np.ndarray, n_atoms: int, rng: np.random.Generator) -> Errors:
    """Labels with ``ALPHA`` times the width of the members.

    Args:
        n_members: of the committee.
        widths: of each row, shape ``(n_frames, n_atoms)``.
        n_atoms: of a structure.
        rng: of everything.
    """
    shape = (n_members + 1, len(widths), n_atoms, 3)
    common = rng.normal(size=(n_members + 1, len(widths), 1, 3))
    drawn = (rng.normal(size=shape) + common) / np.sqrt(2.0) * widths[..., None]
    rows = drawn.reshape(n_members + 1, -1, 3)
    mean = rows[1:].mean(axis=0)
    frames = np.repeat(np.arange(len(widths)), n_atoms)
    return Errors("forces", "1", ALPHA * rows[0] - mean, rows[1:] - mean, frames)


def alpha(
    n_members: int, n_frames: int, n_atoms: int, ratios: bool, rng: np.random.Generator
) -> Outcome:
    """From the ratio of means, or the mean of ratios."""
    widths = np.exp(0.3 * rng.normal(size=(n_frames, 1))) * np.ones((n_frames, n_atoms))
    try:
        found = calibrate(draw(n_members, widths, n_atoms, rng))
    except ConfigError:
        return None
    if not ratios:
        return found.alpha, found.error, ALPHA
    assert found.mean_of_ratios is not None
    return *found.mean_of_ratios, ALPHA


def bin_of_reliability(n_frames: int, rng: np.random.Generator) -> Outcome:
    """The fifth of ten bins, of rows whose spreads differ so much that each bin is known."""
    widths = 4.0 ** np.arange(10.0) * np.ones((n_frames, 1))
    found = reliability(draw(8, widths, 10, rng), ALPHA)
    exact = widths[0, 4] * np.sqrt(ALPHA**2 + 1.0 / 8.0)
    return float(found.errors[4]), float(found.uncertainties[4]), float(exact)


CASES: Final[Mapping[str, Callable[[np.random.Generator], Outcome]]] = {
    **{
        f"alpha, {members} members, {frames} structures of {atoms}": partial(
            alpha, members, frames, atoms, False
        )
        for members, frames, atoms in ((3, 5, 8), (4, 10, 1), (4, 10, 8), (5, 20, 8), (8, 100, 8))
    },
    **{
        f"alpha by the mean of ratios, 8 members, {frames} structures of 8": partial(
            alpha, 8, frames, 8, True
        )
        for frames in (40, 100)
    },
    **{
        f"bin of a reliability diagram, {frames} structures": partial(bin_of_reliability, frames)
        for frames in (10, 40)
    },
}
