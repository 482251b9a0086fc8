"""Compute the hysteresis of an ionic crystal from dipoles on any branch, and in a run."""

from __future__ import annotations

import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
from scipy.optimize import minimize

from mlobs_client import Structure, load_config
from mlobs_client.analysis import curve_along_path, unwrap_dipole
from mlobs_client.client import assemble, observe_batch, predict
from mlobs_client.plot import write
from mlobs_client.results import Estimate, Points, Result
from mlobs_client.studies import Run
from mlobs_client.terms import UniformField
from mlobs_client.units import MICROCOULOMB_PER_CM2, VOLT_PER_ANGSTROM

BETWEEN = 8  # images from one field to the next


def relax(structure: Structure, evaluators: tuple, field: np.ndarray) -> Structure:
    """Return the next minimum of the energy in a field, Eh/(e bohr)."""

    def energy_and_slope(flat: np.ndarray) -> tuple[float, np.ndarray]:
        moved = replace(structure, positions=flat.reshape(-1, 3))
        (found,) = predict([moved], evaluators, (UniformField(field),), frozenset())
        return float(found.energy), -found.forces.ravel()

    done = minimize(energy_and_slope, structure.positions.ravel(), jac=True, tol=1e-9)
    return replace(structure, positions=done.x.reshape(-1, 3))


def sweep(structure: Structure, evaluators: tuple, fields: np.ndarray) -> list[Structure]:
    """Return minima along the fields, and structures on the straight path between them."""
    images = [relax(structure, evaluators, fields[0])]
    for field in fields[1:]:
        begin, end = images[-1], relax(images[-1], evaluators, field)
        for s in np.arange(1, BETWEEN + 1) / BETWEEN:
            between = (1.0 - s) * begin.positions + s * end.positions
            images.append(replace(begin, positions=between))
    return images


def hysteresis(folder: Path, n_fields: int) -> dict[str, float]:
    """Follow the minimum as the field grows and falls, with labels in the first quantum."""
    assembly = assemble(load_config(folder / "client.toml"), folder)
    cell, volume = assembly.structure.cell, assembly.structure.volume
    length, to_quanta = float(np.linalg.norm(cell[2])), np.linalg.inv(cell)
    quantum = length / volume / MICROCOULOMB_PER_CM2
    up = np.linspace(-0.08, 0.08, n_fields)  # V/angstrom
    strength = np.concatenate([up, up[::-1]])
    fields = strength[:, None] * cell[2] / length * VOLT_PER_ANGSTROM
    images = sweep(assembly.structure, assembly.evaluators, fields)
    values = observe_batch(images, assembly.evaluators, (), ("dipole",))
    labels = np.array([one["dipole"] for one in values]) @ to_quanta % 1.0 @ cell
    folded = (labels @ to_quanta)[::BETWEEN, 2] * quantum
    followed = (unwrap_dipole(labels, cell) @ to_quanta)[::BETWEEN, 2] * quantum
    down_at_rest, up_at_rest = n_fields // 2, -1 - n_fields // 2  # at no field
    followed -= 0.5 * (followed[down_at_rest] + followed[up_at_rest])
    points = tuple(
        Points(
            "polarization", "electric field", "V/angstrom", strength[part],
            tuple(Estimate(x, 0.0, "uC/cm^2", 1.0) for x in values[part]), label,
        )
        for label, values, part in (
            ("labels", folded, slice(None)),
            ("field up", followed, slice(n_fields)),
            ("field down", followed, slice(n_fields, None)),
        )
    )  # fmt: skip
    write(Result("hysteresis", points=points), folder / "hysteresis")
    return {
        "turns at (V/angstrom)": 0.5 * (up[:-1] + up[1:])[np.argmax(np.diff(followed[:n_fields]))],
        "difference of the two states (uC/cm^2)": followed[up_at_rest] - followed[down_at_rest],
        "of their labels": folded[up_at_rest] - folded[down_at_rest],
    }


def turn(folder: Path) -> dict[str, float]:
    """Return the dipole along a run in a field that reverses it, in quanta along the axis."""
    command = [sys.executable, "-m", "mlobs_client", "run", "input.xml", "client.toml"]
    subprocess.run(command, cwd=folder, check=True, stdout=subprocess.DEVNULL)
    cell = assemble(load_config(folder / "client.toml"), folder).structure.cell
    quanta = Run(folder / "simulation").dipoles().mean @ np.linalg.inv(cell)[:, 2]
    curves = {"unwrapped positions": quanta - quanta[0], "folded": (quanta % 1.0) - quanta[0] % 1.0}
    along = tuple(curve_along_path(one, label, "e c") for label, one in curves.items())
    write(Result("a turn of the crystal", along), folder / "turn", integers=True)
    return {f"at the end, {name} (quanta)": series[-1] for name, series in curves.items()}


def main(folder: Path, n_fields: int = 33) -> dict[str, float]:
    """Do both in a folder with the inputs."""
    found = hysteresis(folder, n_fields) | turn(folder)
    return {name: round(float(value), 4) for name, value in found.items()}


if __name__ == "__main__":
    print(main(Path(shutil.copytree(Path(__file__).parent, "ionic_crystal"))))
