"""Draw the polarization in the runs of this campaign, beside the exact curve.

    python figure.py

reads ``runs/`` and writes ``polarization.png``, ``.pdf``, ``.csv`` and ``.json``, and
``expected.json``, the points with the exact ones.
"""

from __future__ import annotations

import json
import tomllib
from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from mlobs_client import Structure
from mlobs_client.evaluate.toys import double_well
from mlobs_client.plot import COLORS, STYLE, Plot, save
from mlobs_client.results import Estimate, mean
from mlobs_client.studies import Run
from mlobs_client.units import ANGSTROM, KELVIN, MICROCOULOMB_PER_CM2, VOLT_PER_ANGSTROM

Array = NDArray[np.float64]

HERE = Path(__file__).parent
VOLUME = (5.291772109 * ANGSTROM) ** 3
DEPOLARIZATION = 4.0 * np.pi / VOLUME
POSITIONS = np.linspace(-5.0, 5.0, 2001)  # bohr


def potential() -> Array:
    """Return the energy of the double well along x, Eh."""
    toy, cell = double_well(), np.eye(3)
    structures = [Structure(np.array([1]), np.array([[x, 0.0, 0.0]]), cell) for x in POSITIONS]
    values = toy(structures, frozenset({"energy"})).values
    return np.array([float(value["energy"]) for value in values])


def exact_position(energies: Array) -> float:
    """Return the mean position over the classical distribution at 300 K, bohr."""
    weights = np.exp(-(energies - energies.min()) / (300.0 * KELVIN))
    return float(weights @ POSITIONS / weights.sum())


def exact_curve(
    displacements: Array,
) -> tuple[Array, Array]:
    """Return field (V/angstrom) and polarization (uC/cm^2) at fixed displacements (a.u.)."""
    well = potential()
    positions = np.array(
        [
            exact_position(well + (D - DEPOLARIZATION * POSITIONS) ** 2 / (2.0 * DEPOLARIZATION))
            for D in displacements
        ]
    )
    field = (displacements - DEPOLARIZATION * positions) / VOLT_PER_ANGSTROM
    return field, positions / VOLUME / MICROCOULOMB_PER_CM2


def measured(folder: Path) -> Estimate:
    """Return the mean polarization along x, without the first tenth of a run."""
    dipoles = Run(folder / "simulation").dipoles().mean[:, 0]
    series = dipoles[len(dipoles) // 10 :] / VOLUME / MICROCOULOMB_PER_CM2
    return mean(series, "uC/cm^2")


def points() -> list[dict[str, object]]:
    """Return one point for each run."""
    found = []
    for run in tomllib.loads((HERE / "campaign.toml").read_text())["runs"]:
        said = run["parameters"]
        polarization = measured(HERE / "runs" / run["name"])
        field, scatter, exact = said["value"], 0.0, None
        if said["fixed"] == "displacement":
            to_field = DEPOLARIZATION * VOLUME * MICROCOULOMB_PER_CM2 / VOLT_PER_ANGSTROM
            field -= to_field * polarization.value
            scatter = to_field * polarization.error
            exact = exact_curve(np.array([said["value"] * VOLT_PER_ANGSTROM]))[1][0]
        found.append(
            {
                "run": run["name"],
                "field (V/angstrom)": field,
                "error of the field": scatter,
                "polarization (uC/cm^2)": polarization.value,
                "error": polarization.error,
                "exact": exact,
            }
        )
    return found


def draw(found: list[dict[str, object]]) -> Figure:
    """Draw the polarization against the acting field."""
    with mpl.rc_context(STYLE):
        figure = Figure()
        axes = figure.subplots()
        displacements = np.linspace(-1.9, 1.9, 300) * VOLT_PER_ANGSTROM
        axes.plot(*exact_curve(displacements), color="0.6", label="exact, 300 K, fixed $D$")
        kinds = (("displacement", "fixed $D$", "o"), ("left", "fixed $E$, from the left", ">"))
        for color, (kind, label, marker) in zip(
            COLORS, (*kinds, ("right", "fixed $E$, from the right", "<")), strict=False
        ):
            rows = [row for row in found if kind in str(row["run"])]
            x, dx, y, dy = (np.array([row[name] for row in rows]) for name in tuple(rows[0])[1:5])
            axes.errorbar(x, y, dy, dx, color=color, fmt=marker, markersize=3.5, capsize=2.0,
                          linewidth=0.8, label=label)  # fmt: skip
        axes.set_xlabel(r"electric field / V$\,$Å$^{-1}$")
        axes.set_ylabel(r"polarization / µC$\,$cm$^{-2}$")
        figure.legend(loc="outside upper center", ncols=2)
        figure.set_figheight(figure.get_figheight() + 0.3)
        return figure


def main() -> None:
    """Write the figure and the table."""
    found = points()
    columns = {name: [row[name] for row in found] for name in found[0]}
    columns["exact"] = [np.nan if value is None else value for value in columns["exact"]]
    save(Plot(draw(found), columns, {}), HERE / "polarization")
    (HERE / "expected.json").write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
