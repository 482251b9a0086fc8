"""Distributions whose modes, heights and densities are known: do the printed errors cover them?

Distances are Gaussian about their mode, with 64 of them in a frame, as O-O distances of the first
shell; a bin is 0.8 of their standard deviation. The mode is in the middle of a bin, or on the edge
of two, where noise decides which of them is the highest.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Final

import numpy as np
from error_bars import relaxation
from scipy import stats

from mlobs_client.analysis.liquids.arrest import arrest_field
from mlobs_client.analysis.liquids.distributions import highest, histogram, radial_distribution
from mlobs_client.analysis.liquids.distributions import mode as mode_of
from mlobs_client.analysis.liquids.orientation import orientation
from mlobs_client.errors import RecordError
from mlobs_client.results.curve import Curve
from mlobs_client.results.estimate import Estimate
from mlobs_client.results.statistics import mean_of_independent

Outcome = tuple[float, float, float]
"""Value, its error, and the exact value."""

MODE, SPREAD, BIN, MEMORY = 2.8, 0.125, 0.1, 2.0
PLACES: Final = {"in a bin": 0.5, "between bins": 0.0}
"""Of the mode, from the lower edge of its bin, in bins."""


def drawn(place: float, n_blocks: int, n_samples: int, rng: np.random.Generator) -> Curve:
    """One run of so many frames."""
    distances = MODE + SPREAD * relaxation(n_samples, MEMORY, rng, 64)
    edges = MODE + BIN * (np.arange(-8.0, 9.0) - place)
    return histogram([distances], edges, n_blocks)


def mode(place: float, n_blocks: int, n_samples: int, rng: np.random.Generator) -> Outcome:
    found = mode_of(drawn(place, n_blocks, n_samples, rng))
    return found.value, found.error, MODE


def height(place: float, n_blocks: int, n_samples: int, rng: np.random.Generator) -> Outcome:
    found = highest(drawn(place, n_blocks, n_samples, rng))
    return found.value, found.error, _height(place)


def density(n_blocks: int, n_samples: int, rng: np.random.Generator) -> Outcome:
    """Of the bin of the mode."""
    found = drawn(0.5, n_blocks, n_samples, rng)
    k = int(np.argmin(np.abs(found.x - MODE)))
    return float(found.mean[k]), float(found.error[k]), _density(0.5)


def ratio_to_zero_field(n_blocks: int, rng: np.random.Generator) -> Outcome | None:
    """Diffusion coefficients of 1 and 0.4, with a scatter of 0.3 between blocks."""
    try:
        found = arrest_field(np.array([0.0, 0.1]), coefficients(0.4, n_blocks, rng))
    except RecordError:  # by chance, not above zero without a field
        return None
    return found.ratio[1].value, found.ratio[1].error, 0.4


def ideal_gas(n_blocks: int, rng: np.random.Generator) -> Outcome:
    """The radial distribution of eight atoms that do not interact, at a third of the cell."""
    steps = rng.normal(scale=3.0, size=(40 * n_blocks, 1, 8, 3))
    steps[0] = rng.uniform(0.0, 10.0, size=(1, 8, 3))
    cells = np.tile(10.0 * np.eye(3), (len(steps), 1, 1))
    found = radial_distribution([np.cumsum(steps, axis=0)], [cells], n_blocks, bin_width=0.5)
    return float(found.mean[6]), float(found.error[6]), 1.0


def rotors(what: str, n_blocks: int, rng: np.random.Generator) -> Outcome:
    """Moments of the angles of eight molecules without order, or the density of one bin."""
    vectors = relaxation(40 * n_blocks, MEMORY, rng, 24).reshape(-1, 1, 8, 3)
    axes = vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)
    found = orientation([axes], np.array([0.0, 0.6, 0.8]), n_blocks, n_bins=10)
    if what == "density":
        return float(found.distribution.mean[7]), float(found.distribution.error[7]), 0.5
    moment = found.first if what == "P1" else found.second
    return moment.value, moment.error, 0.0


def coefficients(ratio: float, n_blocks: int, rng: np.random.Generator) -> list[Estimate]:
    """Of diffusion, at zero field and in one."""
    blocks = rng.normal(scale=0.3, size=(2, n_blocks)) * [[1.0], [ratio]] + [[1.0], [ratio]]
    return [mean_of_independent(one, "angstrom^2/ps") for one in blocks]


def _density(place: float, bins: int = 0) -> float:
    """Return the density of a bin, so many above that whose lower edge is next to the mode."""
    ends = (np.array([-place, 1.0 - place]) + bins) * BIN / SPREAD
    return float(np.diff(stats.norm.cdf(ends))[0] / BIN)


def _height(place: float) -> float:
    """Return the height of the parabola through the logarithms of the exact densities."""
    logarithms = np.log([_density(place, bins) for bins in (-1, 0, 1)])
    parabola = np.polynomial.Polynomial.fit([-1.0, 0.0, 1.0], logarithms, 2)
    return float(np.exp(parabola(parabola.deriv().roots()[0])))


CASES: Final[Mapping[str, Callable[[np.random.Generator], Outcome]]] = {
    **{
        f"{what} of a distribution {name}, {n_blocks} blocks of {length}": partial(
            read, place, n_blocks, n_blocks * length
        )
        for what, read in (("mode", mode), ("height", height))
        for name, place in PLACES.items()
        for n_blocks, length in ((4, 40), (10, 40), (10, 400))
    },
    **{f"density of a bin, {n} blocks": partial(density, n, 40 * n) for n in (4, 10)},
    "g(r) of an ideal gas, 10 blocks": partial(ideal_gas, 10),
    **{
        f"{what} of the angles of free rotors, 10 blocks": partial(rotors, what, 10)
        for what in ("P1", "P2", "density")
    },
    **{f"D over D at zero field, {n} blocks": partial(ratio_to_zero_field, n) for n in (4, 10)},
}
