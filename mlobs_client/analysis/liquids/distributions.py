"""Distributions of bond lengths and of distances between atoms of one species.

All beads of a path integral contribute, because a distance is a function of positions.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import matscipy.neighbours
import numpy as np
from numpy.polynomial import Polynomial

from mlobs_client.errors import RecordError
from mlobs_client.results.curve import Curve
from mlobs_client.results.estimate import Estimate, check_series
from mlobs_client.results.statistics import independent_blocks, jackknife
from mlobs_client.structure import Array, Integers, Structure
from mlobs_client.units import ANGSTROM

LONGEST_BOND: Final = 1.5 * ANGSTROM
"""Longest distance of a hydrogen from the oxygen to which it belongs, bohr."""

EMPTY: Final = 1e-3
"""Lower limit of the bins near the highest one, as a fraction of it, since log(0) is infinite."""


def mode(curve: Curve) -> Estimate:
    """Return the mode of a distribution, with its statistical error.

    It is the vertex of a parabola fitted to the logarithms of the highest bin and of two bins on
    either side, weighted by the numbers of samples; it is exact for a Gaussian. The jackknife uses
    the same bins whichever block it leaves out, so that the mode is a smooth function of the blocks
    even if two bins are equally high.

    Args:
        curve: a distribution, as :func:`histogram` and :func:`radial_distribution` return it.

    Returns:
        The position of the maximum, in the unit of x; NaN if all bins are empty.
    """
    bins = _about_highest(curve)
    spacing, middle = float(curve.x[1] - curve.x[0]), float(curve.x[bins].mean())
    position = jackknife(
        curve.blocks[:, bins], lambda mean: middle + _vertex(mean)[0] * spacing, curve.x_unit
    )
    few = "" if np.isfinite(position.error) else "no samples, or all of them in one block"
    return position.without_error(curve.no_error or few)


def highest(curve: Curve) -> Estimate:
    """Return the height of a distribution at its mode; see :func:`mode`.

    Args:
        curve: a distribution, as :func:`histogram` and :func:`radial_distribution` return it.

    Returns:
        The height, in the unit of the curve.
    """
    blocks = curve.blocks[:, _about_highest(curve)]
    height = jackknife(blocks, lambda mean: _vertex(mean)[1], curve.unit)
    return height.without_error(curve.no_error)


def _about_highest(curve: Curve) -> slice:
    """Return the slice of the highest bin of the mean and of two bins on either side."""
    top = int(np.clip(np.argmax(curve.mean), 2, max(2, len(curve.x) - 3)))
    return slice(top - 2, top + 3)


def _vertex(values: Array) -> tuple[float, float]:
    """Return the position of the maximum, in bins from the middle one, and its height.

    If the logarithms do not bend down, or bend about a point outside, this is the highest bin, as
    it is of two bins. Empty bins have no maximum, so that its position is NaN.
    """
    places = np.arange(len(values)) - 0.5 * (len(values) - 1)
    top = int(np.argmax(values))
    if len(values) < 3 or values[top] == 0.0:
        return (float(places[top]) if values[top] > 0.0 else np.nan), float(values[top])
    known = np.maximum(values, EMPTY * values[top])
    parabola = Polynomial.fit(places, np.log(known), 2, w=np.sqrt(known), domain=[-1.0, 1.0])
    height, slope, bend = np.asarray(parabola.coef, dtype=np.float64).tolist()
    offset = -0.5 * slope / bend if bend < 0.0 else np.inf
    if abs(offset) > places[-1]:
        return float(places[top]), float(values[top])
    return float(offset), float(np.exp(height + 0.5 * slope * offset))


@dataclass(frozen=True)
class Bonds:
    """Bonds between atoms, including those across the boundaries of the cell.

    Attributes:
        pairs: indices of centre and neighbour, shape ``(n_bonds, 2)``.
        images: lattice vectors to add to the neighbour, shape ``(n_bonds, 3)``, integers; constant
            along an unwrapped trajectory.
    """

    pairs: Integers
    images: Integers

    def vectors(self, positions: Array, cells: Array) -> Array:
        """Return the vectors from the centres to their neighbours.

        Args:
            positions: unwrapped positions, shape ``(t, n_beads, n_atoms, 3)``, bohr.
            cells: shape ``(t, 3, 3)``, bohr, lattice vectors are rows.

        Returns:
            Shape ``(t, n_beads, n_bonds, 3)``, bohr.
        """
        shifts = np.einsum("nk,tki->tni", self.images, cells)[:, None]
        centres, neighbours = self.pairs.T
        return np.asarray(positions[:, :, neighbours] + shifts - positions[:, :, centres])


def find_bonds(structure: Structure, center: int = 8, neighbour: int = 1) -> Bonds:
    """Bond each atom of one species to the nearest atom of another species.

    Args:
        structure: structure whose bonds are found, usually the first frame of a trajectory.
        center: atomic number of the centres, such as oxygen.
        neighbour: atomic number of the atoms with one bond each, such as hydrogen.

    Raises:
        RecordError: there are no atoms with the number ``neighbour``, or one of them is farther
            than :data:`LONGEST_BOND` from all centres.
    """
    i, j, distances, images = matscipy.neighbours.neighbour_list(
        "ijdS",
        positions=structure.positions,
        cell=structure.cell,
        pbc=structure.pbc,
        cutoff=LONGEST_BOND,
    )
    numbers = structure.numbers
    candidates = np.flatnonzero((numbers[i] == center) & (numbers[j] == neighbour))
    nearest_last = candidates[np.argsort(-distances[candidates], kind="stable")]
    nearest = {int(j[k]): int(k) for k in nearest_last}
    alone = np.setdiff1d(np.flatnonzero(numbers == neighbour), list(nearest))
    if len(alone) or not nearest:
        which = f"atom {alone[0]} has no" if len(alone) else "there is no"
        raise RecordError(
            f"{which} neighbour within {LONGEST_BOND / ANGSTROM:.2f} angstrom (atomic numbers "
            f"{center} and {neighbour}); bonds are those of the first frame: start from whole "
            "molecules"
        )
    chosen = [nearest[atom] for atom in sorted(nearest)]
    return Bonds(np.stack([i[chosen], j[chosen]], axis=1).astype(np.int64), images[chosen])


def histogram(
    runs: Sequence[Array],
    edges: Array,
    n_blocks: int,
    unit: str = "angstrom",
    interval: float | None = None,
    name: str = "length",
) -> Curve:
    """Return the probability density of numbers along runs.

    Args:
        runs: numbers along each run, shape ``(t, ...)``, in ``unit``.
        edges: edges of equal bins, shape ``(n_bins + 1,)``, in ``unit``; numbers outside them are
            missing from the integral.
        n_blocks: minimum number of blocks for the errors.
        unit: unit of the numbers.
        interval: time between samples, ps, for the reason given in place of errors.
        name: name of the numbers.

    Returns:
        Density over the centres of the bins, per ``unit``.

    Raises:
        RecordError: there are too few samples, or numbers are not finite.
    """
    checked = [check_series(run, "samples", least=4) for run in runs]
    means = [run.reshape(len(run), -1).mean(axis=1) for run in checked]
    blocks, reason = independent_blocks(checked, n_blocks, means, interval)
    width = float(edges[1] - edges[0])
    densities = [np.histogram(block, edges)[0] / (block.size * width) for block in blocks]
    per = "1" if unit == "1" else f"1/{unit}"
    rows = _rows(len(blocks), len(runs))
    return Curve(
        f"density of {name}", per, name, unit, _centres(edges), np.array(densities), rows=rows,
        no_error=reason,
    )  # fmt: skip


def radial_distribution(
    runs: Sequence[Array],
    cells: Sequence[Array],
    n_blocks: int,
    bin_width: float = 0.1 * ANGSTROM,
    reach: float | None = None,
    interval: float | None = None,
) -> Curve:
    r"""Return the radial distribution function of one species, between atoms of the same bead.

    .. math:: g(r) = \frac{V}{N (N - 1)}
        \Big\langle \sum_{I \neq J} \frac{\delta(r - r_{IJ})}{4 \pi r^2} \Big\rangle

    It is 1 for independent positions, for any number of atoms.

    Args:
        runs: positions of this species along each run, shape ``(t, n_beads, n_atoms, 3)``, bohr.
        cells: cells along each run, shape ``(t, 3, 3)``, bohr, lattice vectors are rows.
        n_blocks: minimum number of blocks for the errors.
        bin_width: width of the bins, bohr.
        reach: the longest distance, bohr; by default, and at most, half the smallest distance
            between opposite faces of a cell.
        interval: time between samples, ps, for the reason given in place of errors.

    Returns:
        g(r) without a unit, over distances in angstrom.

    Raises:
        RecordError: there are fewer than two atoms, too few samples or fewer than two bins.
    """
    n_atoms = runs[0].shape[2]
    if n_atoms < 2:
        raise RecordError(f"a radial distribution needs at least two atoms, not {n_atoms}")
    half = 0.5 * min(float(_heights(cell).min()) for run in cells for cell in run)
    n_bins = int(min(half, reach or half) / bin_width)
    if n_bins < 2:
        raise RecordError(
            f"distances in this cell reach only {half / ANGSTROM:.2f} angstrom, and bins are "
            f"{bin_width / ANGSTROM:.2f} angstrom wide; choose narrower bins"
        )
    edges: Array = np.linspace(0.0, n_bins * bin_width, n_bins + 1)
    shells = 4.0 / 3.0 * np.pi * np.diff(edges**3)
    scaled = [
        _count_pairs(run, cell, edges) / (n_atoms * (n_atoms - 1) * shells)
        for run, cell in zip(runs, cells, strict=True)
    ]
    highest = int(np.argmax(np.concatenate(scaled).mean(axis=0)))
    memory = [run[:, highest] for run in scaled]
    blocks, reason = independent_blocks(scaled, n_blocks, memory, interval)
    means = np.array([block.mean(axis=0) for block in blocks])
    return Curve(
        "g(r)", "1", "distance", "angstrom", _centres(edges / ANGSTROM), means,
        rows=_rows(len(blocks), len(runs)), no_error=reason,
    )  # fmt: skip


def _count_pairs(positions: Array, cells: Array, edges: Array) -> Array:
    """Return ordered pairs times the volume, averaged over beads, shape ``(t, n_bins)``, bohr^3."""
    counts = np.zeros((len(positions), len(edges) - 1))
    for t, (beads, cell) in enumerate(zip(positions, cells, strict=True)):
        for frame in beads:
            distances = matscipy.neighbours.neighbour_list(
                "d", positions=frame, cell=cell, pbc=[True] * 3, cutoff=float(edges[-1])
            )
            counts[t] += np.histogram(distances, edges)[0]
        counts[t] *= abs(np.linalg.det(cell)) / len(beads)
    return counts


def _heights(cell: Array) -> Array:
    """Return distances between opposite faces, the inverse lengths of reciprocal vectors."""
    return np.asarray(1.0 / np.linalg.norm(np.linalg.inv(cell), axis=0))


def _centres(edges: Array) -> Array:
    return np.asarray(0.5 * (edges[1:] + edges[:-1]))


def _rows(n_blocks: int, n_runs: int) -> str:
    """Return the source of the scatter: whole runs, or blocks of them."""
    return "runs" if n_blocks == n_runs else "blocks"
