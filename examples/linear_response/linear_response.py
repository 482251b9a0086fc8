"""Simulate water in weak fields: forces of LAMMPS and, for the field, of mlobs; i-PI moves atoms.

``python linear_response.py`` completes the runs of campaign.toml beside it, and analyses them.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np

from mlobs_client.analysis import permittivity_from_fluctuations, susceptibility_from_fluctuations
from mlobs_client.results import (
    Estimate,
    Result,
    drift,
    mean,
    mean_of_independent,
    statistical_inefficiency,
)
from mlobs_client.studies import Run
from mlobs_client.units import EV, KELVIN, MICROCOULOMB_PER_CM2, PICOSECOND

SKIP = "15"  # ps, of each run
SCAN = ("--window", "5", "15")  # ps
CHARGE = 0.73612 * 0.5564  # e: a dipole of q-TIP4P/F is this times the sum of both O-H vectors


def analyse(folder: Path) -> None:
    """Run and analyse the campaign; write numbers.json, to compare with expected.json."""
    _call(folder, "field-scan", "campaign.toml", *SCAN, "--skip", SKIP, "-o", "scan")
    rest = sorted((folder / "runs").glob("field=0_*"))
    prefixes = [f"{run.relative_to(folder)}/simulation" for run in rest]
    temperature = ("--temperature", "300", "--skip", SKIP)
    _call(folder, "dielectric", *prefixes, *temperature, "-o", "dielectric")
    scan = json.loads((folder / "scan.json").read_text())
    numbers = Result.read(folder / "dielectric.json").numbers
    found = {"scan": scan, "dielectric": {name: one.as_json() for name, one in numbers.items()}}
    found["at rest"] = look_at_rest([Run(run / "simulation") for run in rest])
    every = sorted(one for one in (folder / "runs").iterdir() if one.is_dir())
    found["drift of the conserved energy"] = {one.name: _drift(one).as_json() for one in every}
    (folder / "numbers.json").write_text(json.dumps(found, indent=1) + "\n")


def _call(folder: Path, *words: str) -> None:
    print(" ".join(("mlobs", *words)), flush=True)
    done = subprocess.run([sys.executable, "-m", "mlobs_client", *words], cwd=folder, check=False)
    if done.returncode:  # it has said why
        raise SystemExit(done.returncode)


def _drift(run: Path) -> Estimate:
    """Return the drift of the conserved energy: of both forces and the thermostat."""
    properties = Run(run / "simulation").properties
    times = properties["time"] / PICOSECOND
    return drift(times, properties["conserved"] / EV, ("ps", "eV"))


def look_at_rest(runs: list[Run]) -> dict[str, object]:
    """Return the mean dipole at rest, its correlation time, and epsilon from the charges alone.

    The time is given twice: for each run about its own mean, which is too short where that mean
    still drifts, and for each component of all runs about one mean.
    """
    dipoles, of_charges, times = [], [], []
    for run in runs:
        begin = float(SKIP) * PICOSECOND / run.timestep
        observed = run.dipoles()
        dipoles.append(observed.mean[observed.steps >= begin])
        spacing = run.spacing(observed.steps) / PICOSECOND
        times += [spacing * statistical_inefficiency(one) / 2.0 for one in dipoles[-1].T]
        positions = run.positions()
        later = positions.steps >= begin
        molecules = positions.values[later, 0].reshape(later.sum(), -1, 3, 3)  # atoms O H H
        bonds = (molecules[:, :, 1:] - molecules[:, :, :1]).sum(axis=(1, 2))
        of_charges.append(CHARGE * bonds)
    volume, kt = runs[0].volume, 300.0 * KELVIN
    to_polarization = 1.0 / volume / MICROCOULOMB_PER_CM2
    polarization = [
        mean([to_polarization * one[:, axis] for one in dipoles], "uC/cm^2", spacing)
        for axis in range(3)
    ]
    along = [
        susceptibility_from_fluctuations(dipoles, volume, kt, axis, spacing) for axis in np.eye(3)
    ]
    whole = permittivity_from_fluctuations(dipoles, volume, kt, interval=spacing)
    charges = permittivity_from_fluctuations(of_charges, volume, kt)
    return {
        "polarization along x, y, z": [one.as_json() for one in polarization],
        "susceptibility along x, y, z": [one.as_json() for one in along],
        "dielectric constant, mean of these": whole.mean.as_json(),
        "correlation time of the dipole, in one run": mean_of_independent(
            np.array(times), "ps"
        ).as_json(),
        "correlation times along x, y, z, in all runs (ps)": [
            spacing * statistical_inefficiency(one) / 2.0 for one in np.concatenate(dipoles).T
        ],
        "dielectric constant from the charges of q-TIP4P/F": charges.mean.as_json(),
    }


if __name__ == "__main__":
    analyse(Path(__file__).parent)
