"""Long runs of the bundled water models in the real i-PI: is the energy conserved in a field?"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from importlib.resources import files
from pathlib import Path

import numpy as np
from report import ROOT, Figure

from mlobs_client.analysis.statistics import Estimate, drift
from mlobs_client.runs import Run
from mlobs_client.units import EV, FEMTOSECOND

N_STEPS = 4000
CARDS = Path(str(files("mlobs_client") / "models/water/cards.json"))


def conservation(folder: Path) -> list[Figure]:
    """Drift without a field, in 0.1 V/angstrom through our term, and through driven_dynamics."""
    legs = {kind: _run(kind, folder) for kind in ("water-nve", "water-nve-field", "water-driven")}
    zero, field, driven = (_drift(run) for run in legs.values())
    swing = {kind: _swing(run) for kind, run in legs.items()}
    # a drift that is not different from zero has the size of its error
    limit = 2.0 * max(abs(zero.value), zero.error)
    passed = abs(field.value) <= limit + 2.0 * field.error
    reference = f"at most 2 x that without field: {limit:.2g}"
    beside = "driven_dynamics with the same field, beside it"
    return [
        Figure("drift, NVE, no field", zero.value, zero.error, zero.unit, "", None),
        Figure("drift, NVE, 0.1 V/A", field.value, field.error, field.unit, reference, passed),
        Figure("drift, driven_dynamics", driven.value, driven.error, driven.unit, beside, None),
        Figure("swing, NVE, no field", swing["water-nve"], None, "meV/atom", "", None),
        Figure("swing, NVE, 0.1 V/A", swing["water-nve-field"], None, "meV/atom", "", None),
        Figure("swing, driven_dynamics", swing["water-driven"], None, "meV/atom", beside, None),
    ]


def held_out_errors() -> list[Figure]:
    """What the bundled models reach on frames that they have not seen."""
    figures = []
    for row in json.loads(CARDS.read_text())["figures"]:
        passed = None if row["aim"] is None else bool(row["value"] <= row["aim"])
        aim = "" if row["aim"] is None else f"aim: below {row['aim']:g}; examples/train_water"
        figures.append(Figure(row["name"], row["value"], None, row["unit"], aim, passed))
    return figures


def _run(kind: str, folder: Path) -> Run:
    target = folder / kind
    shutil.copytree(ROOT / "ipi_inputs" / kind, target)
    path = target / "input.xml"
    text = re.sub(r"<total_steps>\s*\d+", f"<total_steps> {N_STEPS}", path.read_text())
    path.write_text(text)
    command = [sys.executable, "-m", "mlobs_client", "run", "input.xml", "client.toml"]
    subprocess.run(command, cwd=target, check=True, stdout=subprocess.DEVNULL)
    return Run(target / "simulation")


def _conserved(run: Run) -> tuple[np.ndarray, np.ndarray]:
    properties = run.properties
    n_atoms = len(run.velocities().numbers)
    return properties["time"] / (1000 * FEMTOSECOND), properties["conserved"] / EV / n_atoms


def _drift(run: Run) -> Estimate:
    times, energies = _conserved(run)
    return drift(times, 1e6 * energies, ("ps", "µeV/atom"))


def _swing(run: Run) -> float:
    _, energies = _conserved(run)
    return float(1e3 * np.std(energies))
