"""Draw the polarization in the runs of this campaign, beside the exact curve.

    python figure.py

reads ``runs/`` and writes ``polarization.png``, ``.pdf``, ``.csv``, ``.json`` and ``.h5``, and
``expected.json``, the points with the exact ones.
"""

from __future__ import annotations

import json
import tomllib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mlobs_client import Structure
from mlobs_client.evaluate.toys import double_well
from mlobs_client.plot import write
from mlobs_client.results import Estimate, Points, Result, mean
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


@dataclass(frozen=True)
class Average:
    """The averages of one run.

    Attributes:
        run: its name in campaign.toml.
        field: that acts, V/angstrom.
        field_error: of the field, which is measured where it is not fixed, V/angstrom.
        polarization: along x.
        exact: uC/cm^2, where the displacement is fixed.
    """

    run: str
    field: float
    field_error: float
    polarization: Estimate
    exact: float | None

    def as_json(self) -> dict[str, object]:
        """Return all of it, with units."""
        return {
            "run": self.run,
            "field (V/angstrom)": self.field,
            "error of the field": self.field_error,
            "polarization (uC/cm^2)": self.polarization.value,
            "error": self.polarization.error,
            "exact": self.exact,
        }


def averages() -> list[Average]:
    """Return one for each run."""
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
        found.append(Average(run["name"], field, scatter, polarization, exact))
    return found


def against_field(found: list[Average]) -> Result:
    """Polarization against the field that acts; errors of fields are in ``expected.json``."""
    axis = ("polarization", "electric field", "V/angstrom")
    on_line, exact = exact_curve(np.linspace(-1.9, 1.9, 300) * VOLT_PER_ANGSTROM)
    line = tuple(Estimate(one, 0.0, "uC/cm^2", 1.0) for one in exact.tolist())
    points = [Points(*axis, on_line, line, "exact, 300 K, fixed $D$", is_line=True)]
    for kind, label in (
        ("displacement", "fixed $D$"),
        ("left", "fixed $E$, from the left"),
        ("right", "fixed $E$, from the right"),
    ):
        of_kind = [one for one in found if kind in one.run]
        estimates = tuple(one.polarization for one in of_kind)
        fields = np.array([one.field for one in of_kind])
        points.append(Points(*axis, fields, estimates, label, {"estimator": "classical nuclei"}))
    return Result("polarization at a fixed displacement and in fields", points=tuple(points))


def main() -> None:
    """Write the figure and the table."""
    found = averages()
    write(against_field(found), HERE / "polarization")
    content = [one.as_json() for one in found]
    (HERE / "expected.json").write_text(json.dumps(content, indent=1) + "\n")


if __name__ == "__main__":
    main()
