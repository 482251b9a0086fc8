"""Measure the trained committees on held-out frames, and ship them with their cards.

Usage: ``python evaluate.py [--work DIR] [--out DIR]``. Reads the ``*.model`` files of the work
folder and their ``calibration.json``, and writes to the output folder: both, ``SHA256SUMS``,
``cards.json``, one Markdown card per committee; and a parity figure per committee beside this
script. All errors are of frames that were neither trained on nor used for the calibration.
"""

import argparse
import hashlib
import json
import platform
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import ase.io
import numpy as np
import torch
from ase import Atoms
from cards import Pairs, plot_parity, write_card
from cost import cost, edges_beyond_cutoff
from graphs import CUTOFF, KINDS, batch_of
from prepare import (
    HERE,
    OXIDATION_NUMBERS,
    WORK,
    oxidation_dipole,
)
from spreads import compare_energies, compare_forces, compare_vectors, judge_spreads

from mlobs_client.evaluate import load
from mlobs_client.learn import tensor_parts
from mlobs_client.quantities import symmetric_components

OUT = HERE.parents[1] / "mlobs_client" / "models" / "water"
N_MEMBERS = 4
CLUSTERS = ("monomer", "dimer")
Array = np.ndarray


def rmse(error: Array) -> float:
    """Return the root mean square of all entries."""
    return float(np.sqrt(np.mean(np.square(error))))


def unseen_frames(work: Path, name: str, clusters: bool = False) -> list[Atoms]:
    """Return the frames that neither training nor calibration has used."""
    return held_out_frames(work, name, ("test",), clusters)


def held_out_frames(
    work: Path, name: str, splits: tuple[str, ...], clusters: bool = False
) -> list[Atoms]:
    """Return frames of the liquid, or clusters, of some splits."""
    frames = ase.io.iread(work / f"{name}.extxyz")
    held_out = [atoms for atoms in frames if atoms.info["split"] in splits]
    return [atoms for atoms in held_out if (atoms.info["origin"] in CLUSTERS) == clusters]


def distances_to_training(work: Path, name: str) -> Array:
    """Return the rms distance of every test frame from the nearest training frame, angstrom.

    The same atoms are compared, in scaled positions where the cells differ.
    """
    frames = [a for a in ase.io.iread(work / f"{name}.extxyz") if a.info["origin"] == "liquid"]
    scaled = np.array([atoms.get_scaled_positions() for atoms in frames])
    edge = np.array([atoms.cell.volume ** (1 / 3) for atoms in frames])
    splits = np.array([atoms.info["split"] for atoms in frames])
    nearest = []
    for index in np.flatnonzero(splits == "test"):
        steps = scaled[splits == "rest"] - scaled[index]
        steps -= np.round(steps)
        nearest.append(edge[index] * np.sqrt((steps**2).sum(axis=-1).mean(axis=-1)).min())
    return np.array(nearest)


def predict(model: torch.nn.Module, frames: list[Atoms], *names: str) -> list[Array]:
    """Return outputs of a model for single frames, stacked over frames, one array per name."""
    results = []
    for atoms in frames:
        result = model(batch_of([atoms]))
        results.append([result[name].detach().numpy() for name in names])
    return [np.array(column) for column in zip(*results, strict=True)]


def born_charges(model: torch.nn.Module, atoms: Atoms) -> Array:
    """Return Born charges of the total dipole, [I, i, j] = d dipole_i / d R_Ij in e."""
    batch = batch_of([atoms])
    dipole = model(batch)["dipole"][0]
    rows = [
        torch.autograd.grad(dipole[i], batch["positions"], retain_graph=True)[0] for i in range(3)
    ]
    numbers = np.array([OXIDATION_NUMBERS[z] for z in atoms.numbers])
    return torch.stack(rows, dim=1).numpy() + numbers[:, None, None] * np.eye(3)


def split(reference: Array, prediction: Array, parts: Mapping[str, Any]) -> Pairs:
    """Return references and predictions of each part, which is an index into both."""
    return {
        name: (reference[part].ravel(), prediction[part].ravel()) for name, part in parts.items()
    }


def evaluate_potential(models: list[torch.nn.Module], work: Path) -> dict[str, Any]:
    """Return errors of forces and energies, of each member and of their mean."""
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
    is_oxygen = np.array([atoms.numbers == 8 for atoms in frames])
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
        "parity": split(forces, all_forces.mean(axis=0), {"O": is_oxygen, "H": ~is_oxygen}),
        "spreads": {
            "energy": compare_energies(energy, energies),
            "forces": compare_forces(forces, all_forces),
        },
    }


def evaluate_dipole(models: list[torch.nn.Module], work: Path) -> dict[str, Any]:
    """Return errors of the dipole of the cell, and of Born charges against another functional."""
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
        "parity": split(
            total, outputs.mean(axis=0), {one: np.s_[:, i] for i, one in enumerate("xyz")}
        ),
        "spreads": {"dipole": compare_vectors(total, outputs)},
    }


def liquid_frames(work: Path) -> list[Atoms]:
    """Return all liquid frames with dielectric labels, for the deviation of their labels."""
    frames = ase.io.iread(work / "dielectric.extxyz")
    return [atoms for atoms in frames if atoms.info["origin"] == "liquid"]


def total_dipoles(work: Path) -> Array:
    """Return dipole labels of all liquid frames less their mean per component, e angstrom."""
    dipoles = np.array([oxidation_dipole(a) + a.info["REF_remainder"] for a in liquid_frames(work)])
    return dipoles - dipoles.mean(axis=0)


def evaluate_polarizability(models: list[torch.nn.Module], work: Path) -> dict[str, Any]:
    """Return errors of the polarizability of the cell, and of its irreducible parts."""
    frames = held_out_frames(work, "dielectric", ("test", "calibrate"))
    tested = np.array([atoms.info["split"] == "test" for atoms in frames])
    held_out, (labels, trend) = polarizabilities(frames), liquid_polarizabilities(work)
    alpha = held_out[tested]
    of_all = np.array([predict(model, frames, "polarizability")[0][:, 0] for model in models])
    outputs = of_all[:, tested]

    def errors(a: Array) -> dict[str, float]:
        parts = tensor_parts(a - alpha, labels, trend)
        return {
            "polarizability_rmse_A3": rmse(a - alpha),
            "isotropic_rmse_A3": parts["isotropic"]["rmse"],
            "isotropic_percent_at_fixed_volume": parts["isotropic"]["percent_without_trend"],
            "anisotropic_rmse_A3": parts["anisotropic"]["rmse"],
            "anisotropic_relative_percent": parts["anisotropic"]["relative_percent"],
        }

    parts = tensor_parts(of_all.mean(axis=0) - held_out, labels, trend)
    diagonal = np.eye(3, dtype=bool)
    return {
        "members": [errors(a) for a in outputs],
        "committee": errors(outputs.mean(axis=0)),
        "isotropic_std_A3": parts["isotropic"]["standard_deviation"],
        "isotropic_std_at_fixed_volume_A3": parts["isotropic"]["deviation_without_trend"],
        "anisotropic_std_A3": parts["anisotropic"]["standard_deviation"],
        "with_the_frames_of_the_calibration": len(frames),
        "isotropic_percent_with_these": parts["isotropic"]["percent_without_trend"],
        "anisotropic_percent_with_these": parts["anisotropic"]["relative_percent"],
        "polarizability_spread_rms_A3": rmse(outputs.std(axis=0, ddof=1)),
        "n_test": int(tested.sum()),
        "parity": split(
            alpha,
            outputs.mean(axis=0),
            {"diagonal": np.s_[:, diagonal], "off-diagonal": np.s_[:, ~diagonal]},
        ),
        "spreads": {
            "polarizability": compare_vectors(
                symmetric_components(alpha), symmetric_components(outputs)
            )
        },
    }


def polarizabilities(frames: list[Atoms]) -> Array:
    """Return labels, shape ``(n, 3, 3)``."""
    return np.array([atoms.info["REF_polarizability"].reshape(3, 3) for atoms in frames])


def liquid_polarizabilities(work: Path) -> tuple[Array, Array]:
    """Return all labels, and their trend: one of two conditions, and the volume."""
    liquid = liquid_frames(work)
    first = np.array([atoms.info["conditions"] == "training" for atoms in liquid], dtype=float)
    trend = np.column_stack([first, 1.0 - first, [atoms.cell.volume for atoms in liquid]])
    return polarizabilities(liquid), trend


EVALUATE: dict[str, Callable[[list[torch.nn.Module], Path], dict[str, Any]]] = {
    "potential": evaluate_potential,
    "dipole": evaluate_dipole,
    "polarizability": evaluate_polarizability,
}


def describe(kind: str, member: int, work: Path) -> dict[str, Any]:
    """Return seed, size, data and cost of one member."""
    notes = json.loads((work / f"{kind}-{member}.json").read_text())
    facts = {name: notes[name] for name in ("seed", "n_train", "n_valid", "n_parameters")}
    return facts | {"steps": [notes["checks"][-1]["step"]]}


def architecture(kind: str, model: torch.nn.Module, work: Path) -> dict[str, Any]:
    """Return the size of the networks, with the degrees of their features."""
    settings = json.loads((work / kind / "settings.json").read_text())
    return {"hidden": str(model.interactions[0].hidden_irreps), **settings["network"]}


def make_card(kind: str, work: Path, out: Path) -> dict[str, Any]:
    """Evaluate, copy and describe one committee."""
    paths = [work / f"{kind}-{member}.model" for member in range(N_MEMBERS)]
    models = [load(path) for path in paths]
    result = EVALUATE[kind](models, work)
    plot_parity(kind, result.pop("parity"), HERE / f"parity_{kind}.png")
    errors, committee = result.pop("members"), result.pop("committee")
    members = [{**describe(kind, m, work), "errors": errors[m]} for m in range(N_MEMBERS)]
    distances = distances_to_training(work, "potential" if kind == "potential" else "dielectric")
    spreads = judge_spreads(result.pop("spreads"), paths)
    leak = max(
        edges_beyond_cutoff(kind, model, unseen_frames(work, "potential")[0]) for model in models
    )
    card = {
        "architecture": architecture(kind, models[0], work),
        "cutoff_A": CUTOFF,
        "n_test": result.pop("n_test"),
        "distance_to_training_A": [round(float(value), 2) for value in np.sort(distances)],
        "members": members,
        "committee": committee,
        "context": result,
        "calibration": spreads,
        "change_by_edges_beyond_cutoff": leak,
        "cost": cost(kind, paths[0], unseen_frames(work, "potential")[0]),
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
    parser.add_argument("--work", type=Path, default=WORK, help="folder that train.sh filled")
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
    shutil.copy(arguments.work / "calibration.json", arguments.out)
    (arguments.out / "SHA256SUMS").write_text("\n".join(sums) + "\n")
    for kind in KINDS:
        print(kind, {name: round(value, 4) for name, value in cards[kind]["committee"].items()})


if __name__ == "__main__":
    main()
