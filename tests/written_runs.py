"""Files of a run as i-PI writes them, with dipoles that a test has made."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from mlobs_client.record import RecordWriter
from mlobs_client.units import FEMTOSECOND


def write_run(
    prefix: Path,
    dipoles: np.ndarray,
    length: float,
    potential: np.ndarray | None = None,
    field: np.ndarray | None = None,
    polarizabilities: np.ndarray | None = None,
    velocities: np.ndarray | None = None,
) -> None:
    """Properties, extras every fourth step of 0.5 fs, and a cubic cell.

    Args:
        prefix: of the outputs.
        dipoles: shape ``(t, 3)``, e bohr.
        length: of the cell, bohr.
        potential: shape ``(t,)``, Eh; zero by default.
        field: shape ``(t, 3)``, V/angstrom; without, there is no column ``Efield``.
        polarizabilities: shape ``(t, 3, 3)``, bohr^3; without, there is no such file.
        velocities: of one atom in each bead, shape ``(t, n_beads, 3)``, bohr/atu; likewise.
    """
    prefix.parent.mkdir(parents=True, exist_ok=True)
    steps = 4 * np.arange(len(dipoles))
    times = 0.5 * FEMTOSECOND * steps
    energies = np.zeros(len(steps)) if potential is None else potential
    names = ("step", "time", "potential", "conserved")
    header = "".join(f"# column   {k}     --> {name}\n" for k, name in enumerate(names, start=1))
    if field is not None:
        header += "# cols.    5-7     --> Efield{v/ang}\n"
    driven = np.empty((len(steps), 0)) if field is None else field
    rows = "".join(
        f"{step} {time:.10e} {energy:.12e} {energy:.12e} {' '.join(f'{x:.8e}' for x in at)}\n"
        for step, time, energy, at in zip(steps, times, energies, driven, strict=True)
    )
    prefix.with_name(f"{prefix.name}.out").write_text(header + rows)
    extras = {"dipole": dipoles, "polarizability": polarizabilities}
    for name, values in extras.items():
        if values is not None:
            frames = [
                f" #EXTRAS({name})# Step:  {step:10d} \n"
                + " ".join(f"{number:.12e}" for number in value.ravel())
                + "\n"
                for step, value in zip(steps, values, strict=True)
            ]
            prefix.with_name(f"{prefix.name}.{name}_0").write_text("".join(frames))
    for bead in range(0 if velocities is None else velocities.shape[1]):
        frames = [
            f"1\n# CELL(abcABC): {length:.8f} {length:.8f} {length:.8f} 90.0 90.0 90.0  Step: "
            f"{step} Bead: {bead} velocities{{atomic_unit}}  cell{{atomic_unit}}\nH "
            + " ".join(f"{number:.12e}" for number in at[bead])
            + "\n"
            for step, at in zip(steps, velocities, strict=True)
        ]
        prefix.with_name(f"{prefix.name}.v_{bead}.xyz").write_text("".join(frames))
    prefix.with_name(f"{prefix.name}.pos_0.xyz").write_text(
        f"1\n# CELL(abcABC): {length:.8f} {length:.8f} {length:.8f} 90.0 90.0 90.0  Step: 0  "
        "Bead: 0 positions{atomic_unit}  cell{atomic_unit}\nH 0 0 0\n"
    )


def write_record(path: Path, prefix: Path, values: dict[str, np.ndarray]) -> None:
    """What a client records, rows in any order, and the extras that tell which row is which.

    Args:
        path: of the record.
        prefix: of the outputs of the run, every fourth step.
        values: ``[step, bead, ...]``, by the names of the columns.
    """
    n_steps, n_beads = next(iter(values.values())).shape[:2]
    order = np.random.default_rng(1).permutation(n_steps * n_beads)
    rows = np.argsort(order).reshape(n_steps, n_beads)
    with RecordWriter(path, {name: one.shape[2:] for name, one in values.items()}, {}) as writer:
        flat = {name: one.reshape(-1, *one.shape[2:]) for name, one in values.items()}
        writer.append([{name: one[i] for name, one in flat.items()} for i in order])
    for bead in range(n_beads):
        for name, texts in (("record_row", rows[:, bead]), ("record", [path.name] * n_steps)):
            text = "".join(
                f" #EXTRAS({name})# Step:  {4 * t:10d} \n{one}\n" for t, one in enumerate(texts)
            )
            prefix.with_name(f"{prefix.name}.{name}_{bead}").write_text(text)
