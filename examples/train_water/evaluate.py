"""Measure the trained committees on held-out frames, and ship them with their cards.

Usage: ``python evaluate.py [--work DIR] [--out DIR]``. Reads the ``*.model`` files of the work
folder and writes to the output folder: the models, ``SHA256SUMS``, ``cards.json``, one Markdown
card per committee; and a parity figure per committee beside this script.
"""

import argparse
import hashlib
import json
import platform
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import ase.io
import numpy as np
import torch
from ase import Atoms
from cards import plot_parity, write_card
from networks import ARCHITECTURE, CUTOFF, KINDS, join, make_graph
from prepare import (
    HELD_OUT_FRACTION,
    HELD_OUT_SEED,
    HERE,
    OXIDATION_NUMBERS,
    WORK,
    oxidation_dipole,
)

OUT = HERE.parents[1] / "mlobs_client" / "models" / "water"
N_MEMBERS = 4
CLUSTERS = ("monomer", "dimer")
Array = np.ndarray


def rmse(error: Array) -> float:
    """Root mean square of all entries."""
    return float(np.sqrt(np.mean(np.square(error))))


def unseen_frames(work: Path, name: str, clusters: bool = False) -> list[Atoms]:
    """The frames that no training run has read."""
    frames = ase.io.iread(work / f"{name}.extxyz")
    held_out = [atoms for atoms in frames if atoms.info["split"] == "test"]
    return [atoms for atoms in held_out if (atoms.info["origin"] in CLUSTERS) == clusters]


def distances_to_training(work: Path, name: str) -> Array:
    """Of every held-out frame, the root mean square distance to the nearest other frame, angstrom.

    The same atoms are compared, in scaled positions where the cells differ.
    """
    frames = [a for a in ase.io.iread(work / f"{name}.extxyz") if a.info["origin"] == "liquid"]
    scaled = np.array([atoms.get_scaled_positions() for atoms in frames])
    edge = np.array([atoms.cell.volume ** (1 / 3) for atoms in frames])
    held_out = np.array([atoms.info["split"] == "test" for atoms in frames])
    nearest = []
    for index in np.flatnonzero(held_out):
        steps = scaled[~held_out] - scaled[index]
        steps -= np.round(steps)
        nearest.append(edge[index] * np.sqrt((steps**2).sum(axis=-1).mean(axis=-1)).min())
    return np.array(nearest)


def predict(model: torch.nn.Module, frames: list[Atoms], *names: str) -> list[Array]:
    """Outputs of a model for single frames, stacked over frames, one array per name."""
    results = []
    for atoms in frames:
        result = model(join([make_graph(atoms)]))
        results.append([result[name].detach().numpy() for name in names])
    return [np.array(column) for column in zip(*results, strict=True)]


def born_charges(model: torch.nn.Module, atoms: Atoms) -> Array:
    """Of the total dipole, [I, i, j] = d dipole_i / d R_Ij in e."""
    batch = join([make_graph(atoms)])
    dipole = model(batch)["dipole"][0]
    rows = [
        torch.autograd.grad(dipole[i], batch["positions"], retain_graph=True)[0] for i in range(3)
    ]
    numbers = np.array([OXIDATION_NUMBERS[z] for z in atoms.numbers])
    return torch.stack(rows, dim=1).numpy() + numbers[:, None, None] * np.eye(3)


def milliseconds(kind: str, model: torch.nn.Module, atoms: Atoms, dtype: torch.dtype) -> float:
    """Least processor time of one evaluation: energy and forces, or the tensor alone."""
    torch.set_default_dtype(dtype)
    model = model.to(dtype)
    batch = join([make_graph(atoms)])
    times = []
    for _ in range(25):
        start = time.process_time()  # on a shared machine, the clock on the wall tells of others
        with torch.set_grad_enabled(kind == "potential"):
            model(batch)
        times.append(time.process_time() - start)
    torch.set_default_dtype(torch.float64)
    return 1e3 * min(times)


def evaluate_potential(models: list[torch.nn.Module], work: Path) -> dict[str, Any]:
    """Errors of forces and energies, of each member and of their mean."""
    frames = unseen_frames(work, "potential")
    n_atoms = len(frames[0])
    energy = np.array([atoms.info["REF_energy"] for atoms in frames])
    forces = np.array([atoms.arrays["REF_forces"] for atoms in frames])
    outputs = [predict(model, frames, "energy", "forces") for model in models]
    energies = np.array([output[0][:, 0] for output in outputs])
    all_forces = np.array([output[1] for output in outputs])
    pairs = unseen_frames(work, "potential", clusters=True)
    n_molecules = np.array([len(atoms) / 3 for atoms in pairs])
    reference = np.array([atoms.info["REF_energy"] for atoms in pairs]) / n_molecules
    cluster_energies = np.array(
        [predict(model, pairs, "energy")[0][:, 0] / n_molecules for model in models]
    )

    def errors(e: Array, f: Array, c: Array) -> dict[str, float]:
        return {
            "forces_rmse_meV_per_A": 1e3 * rmse(f - forces),
            "forces_relative_percent": 100 * rmse(f - forces) / forces.std(),
            "energy_rmse_meV_per_atom": 1e3 * rmse(e - energy) / n_atoms,
            "energy_rmse_without_mean_meV_per_atom": 1e3 * float(np.std(e - energy)) / n_atoms,
            "clusters_rmse_without_mean_meV_per_molecule": 1e3 * float(np.std(c - reference)),
        }

    spread = all_forces.std(axis=0, ddof=1)
    distances = distances_to_training(work, "potential")
    far = distances > np.median(distances)
    mean_error = all_forces.mean(axis=0) - forces
    return {
        "members": [
            errors(*each) for each in zip(energies, all_forces, cluster_energies, strict=True)
        ],
        "committee": errors(
            energies.mean(axis=0), all_forces.mean(axis=0), cluster_energies.mean(axis=0)
        ),
        "forces_std_meV_per_A": 1e3 * float(forces.std()),
        "committee_forces_rmse_of_half_nearest_to_training": 1e3 * rmse(mean_error[~far]),
        "committee_forces_rmse_of_half_farthest_from_training": 1e3 * rmse(mean_error[far]),
        "forces_spread_rms_meV_per_A": 1e3 * rmse(spread),
        "clusters_std_meV_per_molecule": 1e3 * float(reference.std()),
        "n_test": len(frames),
        "n_test_clusters": len(pairs),
        "parity": (forces.ravel(), all_forces.mean(axis=0).ravel()),
    }


def evaluate_dipole(models: list[torch.nn.Module], work: Path) -> dict[str, Any]:
    """Errors of the total dipole of the cell, and of Born charges against another functional's."""
    frames = unseen_frames(work, "dielectric")
    born = unseen_frames(work, "born_charges")
    baseline = np.array([oxidation_dipole(atoms) for atoms in frames])
    remainder = np.array([atoms.info["REF_remainder"] for atoms in frames])
    total = baseline + remainder
    std = total_dipoles(work).std()
    outputs = np.array([predict(model, frames, "dipole")[0][:, 0] for model in models]) + baseline
    apt = np.array([atoms.arrays["REF_apt"].reshape(-1, 3, 3) for atoms in born])
    apts = np.array([[born_charges(model, atoms) for atoms in born] for model in models])

    def errors(mu: Array, z: Array) -> dict[str, float]:
        return {
            "dipole_rmse_e_A": rmse(mu - total),
            "dipole_relative_percent": 100 * rmse(mu - total) / std,
            "born_charges_rmse_e": rmse(z - apt),
            "born_charges_relative_percent": 100 * rmse(z - apt) / apt.std(),
        }

    return {
        "members": [errors(mu, z) for mu, z in zip(outputs, apts, strict=True)],
        "committee": errors(outputs.mean(axis=0), apts.mean(axis=0)),
        "dipole_std_e_A": float(std),
        "born_charges_std_e": float(apt.std()),
        "dipole_spread_rms_e_A": rmse(outputs.std(axis=0, ddof=1)),
        "n_test": len(frames),
        "n_test_born_charges": len(born),
        "born_charges_transposed_rmse_e": rmse(apts.mean(axis=0).swapaxes(-1, -2) - apt),
        "parity": (total.ravel(), outputs.mean(axis=0).ravel()),
    }


def liquid_frames(work: Path) -> list[Atoms]:
    """All liquid frames with dielectric labels; only their labels' spread is used."""
    frames = ase.io.iread(work / "dielectric.extxyz")
    return [atoms for atoms in frames if atoms.info["origin"] == "liquid"]


def total_dipoles(work: Path) -> Array:
    """Dipole labels of all liquid frames less their mean per component, e angstrom."""
    dipoles = np.array([oxidation_dipole(a) + a.info["REF_remainder"] for a in liquid_frames(work)])
    return dipoles - dipoles.mean(axis=0)


def evaluate_polarizability(models: list[torch.nn.Module], work: Path) -> dict[str, Any]:
    """Errors of the polarizability of the cell: all nine components, and the two kinds of them."""
    frames = unseen_frames(work, "dielectric")
    alpha = np.array([atoms.info["REF_polarizability"].reshape(3, 3) for atoms in frames])
    labels = np.array([a.info["REF_polarizability"].reshape(3, 3) for a in liquid_frames(work)])
    outputs = np.array([predict(model, frames, "polarizability")[0][:, 0] for model in models])
    diagonal = np.eye(3, dtype=bool)
    std = np.sqrt(labels.var(axis=0))  # per component, over the frames

    def errors(a: Array) -> dict[str, float]:
        relative = (a - alpha) / std
        return {
            "polarizability_rmse_A3": rmse(a - alpha),
            "polarizability_relative_percent": 100 * rmse(a - alpha) / rmse(std),
            "diagonal_relative_percent": 100 * rmse(relative[:, diagonal]),
            "off_diagonal_relative_percent": 100 * rmse(relative[:, ~diagonal]),
        }

    return {
        "members": [errors(a) for a in outputs],
        "committee": errors(outputs.mean(axis=0)),
        "diagonal_std_A3": rmse(std[diagonal]),
        "off_diagonal_std_A3": rmse(std[~diagonal]),
        "polarizability_spread_rms_A3": rmse(outputs.std(axis=0, ddof=1)),
        "n_test": len(frames),
        "parity": (alpha.ravel(), outputs.mean(axis=0).ravel()),
    }


EVALUATE: dict[str, Callable[[list[torch.nn.Module], Path], dict[str, Any]]] = {
    "potential": evaluate_potential,
    "dipole": evaluate_dipole,
    "polarizability": evaluate_polarizability,
}


def describe(kind: str, member: int, work: Path) -> dict[str, Any]:
    """Seed, size, data and cost of one member."""
    notes = json.loads((work / f"{kind}-{member}.json").read_text())
    facts = {name: notes[name] for name in ("seed", "n_train", "n_valid", "n_parameters")}
    return facts | {"steps": notes["steps"]}


def cost(kind: str, path: Path, work: Path) -> dict[str, float]:
    """Of 64 molecules, one thread, eager torch; per atom in microseconds."""
    atoms = unseen_frames(work, "potential")[0]
    single = milliseconds(kind, torch.load(path, weights_only=False), atoms, torch.float32)
    double = milliseconds(kind, torch.load(path, weights_only=False), atoms, torch.float64)
    return {
        "float64_us_per_atom": round(1e3 * double / len(atoms), 1),
        "float32_us_per_atom": round(1e3 * single / len(atoms), 1),
        "float64_ms_for_192_atoms": round(double, 1),
        "float32_ms_for_192_atoms": round(single, 1),
    }


def edges_beyond_cutoff(kind: str, model: torch.nn.Module, atoms: Atoms) -> float:
    """Largest change of the output when edges longer than the cutoff are added; must be 0."""
    name = {"potential": "energy"}.get(kind, kind)
    near = join([make_graph(atoms)])
    far = join([make_graph(atoms, cutoff=CUTOFF + 1.0)])
    return float((model(near)[name] - model(far)[name]).abs().max())


def make_card(kind: str, work: Path, out: Path) -> dict[str, Any]:
    """Evaluate, copy and describe one committee."""
    paths = [work / f"{kind}-{member}.model" for member in range(N_MEMBERS)]
    models = [torch.load(path, weights_only=False) for path in paths]
    result = EVALUATE[kind](models, work)
    reference, prediction = result.pop("parity")
    plot_parity(kind, reference, prediction, HERE / f"parity_{kind}.png")
    errors, committee = result.pop("members"), result.pop("committee")
    members = [{**describe(kind, m, work), "errors": errors[m]} for m in range(N_MEMBERS)]
    distances = distances_to_training(work, "potential" if kind == "potential" else "dielectric")
    leak = max(
        edges_beyond_cutoff(kind, model, unseen_frames(work, "potential")[0]) for model in models
    )
    card = {
        "architecture": ARCHITECTURE[kind],
        "cutoff_A": CUTOFF,
        "n_test": result.pop("n_test"),
        "held_out": {
            "seed": HELD_OUT_SEED,
            "fraction": HELD_OUT_FRACTION,
            "distance_to_training_A": [round(float(value), 2) for value in np.sort(distances)],
        },
        "members": members,
        "committee": committee,
        "context": result,
        "change_by_edges_beyond_cutoff": leak,
        "cost": cost(kind, paths[0], work),
        "cost_of": "energy and forces" if kind == "potential" else "forward pass only",
        "machine": f"{platform.machine()} CPU, torch {torch.__version__}",
    }
    for path in paths:
        shutil.copy(path, out / path.name)
    write_card(kind, card, out / f"{kind}.md")
    return card


def main() -> None:
    """Write models, checksums and cards."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--work", type=Path, default=WORK, help="folder that train.py filled")
    parser.add_argument("--out", type=Path, default=OUT, help="where models and cards go")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    torch.set_default_dtype(torch.float64)
    arguments.out.mkdir(parents=True, exist_ok=True)
    cards = {kind: make_card(kind, arguments.work, arguments.out) for kind in KINDS}
    cards["oxidation_numbers"] = {"O": OXIDATION_NUMBERS[8], "H": OXIDATION_NUMBERS[1]}
    (arguments.out / "cards.json").write_text(json.dumps(cards, indent=1) + "\n")
    sums = [
        f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}"
        for path in sorted(arguments.out.glob("*.model"))
    ]
    (arguments.out / "SHA256SUMS").write_text("\n".join(sums) + "\n")
    for kind in KINDS:
        print(kind, {name: round(value, 4) for name, value in cards[kind]["committee"].items()})


if __name__ == "__main__":
    main()
