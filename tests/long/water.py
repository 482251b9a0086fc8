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

from mlobs_client.results.estimate import Estimate
from mlobs_client.results.lines import drift
from mlobs_client.studies.runs import Run
from mlobs_client.units import EV, FEMTOSECOND

N_STEPS = 2000
CARDS = Path(str(files("mlobs_client") / "models/water/cards.json"))


def conservation(folder: Path) -> list[Figure]:
    """Drift without a field, in 0.1 V/angstrom through our term, and through driven_dynamics."""
    legs = {kind: _run(kind, folder) for kind in ("water-nve", "water-nve-field", "water-driven")}
    zero, field, driven = (_drift(run) for run in legs.values())
    swing = {kind: _swing(run) for kind, run in legs.items()}
    # a drift that is not different from zero has the size of its error
    limit = 2.0 * max(abs(zero.value), zero.error)
    passed = bool(abs(field.value) <= limit and field.error <= limit)
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


# what the means of the committees reach on frames that they have not seen, and should reach
AIMS = (
    ("potential", "forces_rmse_meV_per_A", "force error of the bundled potentials", "meV/A", 60.0),
    ("dipole", "dipole_relative_percent", "dipole error", "% of its deviation", 5.0),
    (
        "polarizability",
        "isotropic_percent_at_fixed_volume",
        "polarizability error, isotropic part",
        "% of its deviation at fixed volume",
        None,
    ),
    (
        "polarizability",
        "anisotropic_relative_percent",
        "polarizability error, anisotropic part",
        "% of its deviation",
        None,
    ),
)
WITH_THOSE_OF_THE_CALIBRATION = {
    "isotropic_percent_at_fixed_volume": "isotropic_percent_with_these",
    "anisotropic_relative_percent": "anisotropic_percent_with_these",
}


def held_out_errors() -> list[Figure]:
    """What the bundled models reach, from their cards; examples/train_water makes these."""
    cards = json.loads(CARDS.read_text())
    figures = []
    for kind, key, name, unit, aim in AIMS:
        value = cards[kind]["committee"][key]
        reference, passed = f"on {cards[kind]['n_test']} frames not seen", None
        if (together := WITH_THOSE_OF_THE_CALIBRATION.get(key)) is not None:
            context = cards[kind]["context"]
            n_frames = context["with_the_frames_of_the_calibration"]
            reference += f"; {context[together]:.3g} on {n_frames}, with those of the calibration"
        if aim is not None:
            reference, passed = f"aim: below {aim:g}, {reference}", bool(value < aim)
        figures.append(Figure(name, value, None, unit, reference, passed))
    return figures


def _run(kind: str, folder: Path) -> Run:
    target = folder / kind
    shutil.copytree(ROOT / "ipi_inputs" / kind, target)
    path = target / "input.xml"
    text = re.sub(r"<total_steps>\s*\d+", f"<total_steps> {N_STEPS}", path.read_text())
    # the shipped input has a pulse; the comparison needs the static field of water-nve-field
    static = "<efield> <amp units='v/ang'> [ 0.0, 0.0, 0.1 ] </amp> </efield>"
    path.write_text(re.sub(r"<efield>.*?</efield>", static, text, flags=re.DOTALL))
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
