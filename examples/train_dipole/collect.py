"""Collect the results of the trainings: ``results.json`` and two figures beside this file.

Usage: ``python collect.py [--work DIR]``, after the commands of README.md. Born charges of the
crystal are compared with differences of the formula of its labels, on structures held out.
"""

import argparse
import json
import shutil
from pathlib import Path
from typing import Any

import ase.io
import numpy as np
from crystal import OXIDATION_NUMBERS, WORK, born_charges

from mlobs_client.evaluate import OxidationNumbers, check_single_valued, mace
from mlobs_client.learn import Label, load_member, read_labelled
from mlobs_client.plot import write
from mlobs_client.results import Parity, Result

HERE = Path(__file__).resolve().parent
N_BORN = 5  # structures; each takes 240 evaluations of the formula


def describe(report: dict[str, Any]) -> dict[str, Any]:
    """Return the part of a report that is compared."""
    dipole, branches = report["held_out"]["dipole"], report["branches"]
    first = report["data"]["first_prediction"]
    return {
        "rmse_e_angstrom": dipole["rmse"],
        "percent_of_deviation": dipole["relative_percent"],
        "percent_of_a_quantum": 100 * np.max(report["dipole_rmse_in_quanta"] or 0.0),
        "n_moved": branches["n_moved"],
        "n_unexplained": len(branches["unexplained"]),
        "rms_of_folded_labels": first["rms_before"],
        "rms_after_first_prediction": first["rms_after"],
        "seconds": sum(member["seconds"] for member in report["members"].values()),
    }


def read_report(work: Path, folder: str) -> dict[str, Any]:
    """Read the report that ``mlobs train`` wrote."""
    return dict(json.loads((work / folder / "report.json").read_text()))


def compare(work: Path, name: str) -> dict[str, Any]:
    """Compare labels on one branch with the same labels on random branches."""
    known, shifted = (describe(read_report(work, f"{name}{end}")) for end in ("", "_shifted"))
    ratio = shifted["rmse_e_angstrom"] / known["rmse_e_angstrom"]
    return {"one_branch": known, "random_branches": shifted, "ratio_of_errors": ratio}


def compare_born_charges(work: Path) -> tuple[dict[str, Any], np.ndarray, np.ndarray]:
    """Compare Born charges of the network and of the formula on held-out structures."""
    report = read_report(work, "crystal_trained")
    numbers = OxidationNumbers(OXIDATION_NUMBERS)
    labelled = read_labelled(work / "crystal.extxyz", {"dipole": Label("dipole")}, numbers)
    frames = ase.io.read(work / "crystal.extxyz", index=":")
    paths = sorted((work / "crystal_trained").glob("*.model"))
    networks = {str(path): load_member(path) for path in paths}
    evaluator = mace.MaceEvaluator(dipole=mace.dipole(networks, oxidation_numbers=numbers))
    held_out = report["data"]["held_out"][:N_BORN]
    structures = [labelled[index].structure for index in held_out]
    check_single_valued(evaluator, structures[0], numbers)
    found = evaluator(structures, frozenset({"born_charges"})).values
    predicted = np.array([values["born_charges"] for values in found])
    reference = np.array([born_charges(frames[index]) for index in held_out])
    integers = np.array([numbers.of(one) for one in structures])[..., None, None] * np.eye(3)
    error = np.sqrt(np.mean((predicted - reference) ** 2))
    summary = {
        **describe(report),
        "born_charges_rmse_e": error,
        "born_charges_percent": 100 * error / np.sqrt(np.mean(reference**2)),
        "learned_part_percent": 100 * error / np.sqrt(np.mean((reference - integers) ** 2)),
        "acoustic_sum_e": np.abs(predicted.sum(axis=1)).max(),
    }
    return summary, reference, predicted


def compare_networks(work: Path) -> dict[str, Any]:
    """Compare one network for energy and dipole with a network for each."""
    both, energy, dipole = (
        read_report(work, f"pairs_{name}")["held_out"] for name in ("both", "energy", "dipole")
    )
    names = {"energy": energy, "forces": energy, "dipole": dipole}
    return {
        name: {
            "unit": both[name]["unit"],
            "one_network": both[name]["rmse"],
            "separate_networks": separate[name]["rmse"],
            "standard_deviation": both[name]["standard_deviation"],
        }
        for name, separate in names.items()
    }


def main() -> None:
    """Write results and figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--work", type=Path, default=WORK, help="folder of the trainings")
    work = parser.parse_args().work
    results: dict[str, Any] = {name: compare(work, name) for name in ("wire", "liquid")}
    from_zero = read_report(work, "liquid_from_zero")
    results["liquid_without_first_prediction"] = {
        "percent_of_deviation": from_zero["held_out"]["dipole"]["relative_percent"],
        "n_unexplained": len(from_zero["branches"]["unexplained"]),
    }
    results["pairs"] = compare_networks(work)
    results["crystal"], reference, predicted = compare_born_charges(work)
    (HERE / "results.json").write_text(json.dumps(results, indent=1, default=float) + "\n")
    off = ~np.eye(3, dtype=bool)
    parities = tuple(
        Parity(
            "Born charges", "e", reference[..., part].ravel(), predicted[..., part].ravel(), name
        )
        for name, part in (("diagonal", ~off), ("off-diagonal", off))
    )
    write(Result("Born charges of the crystal", parities=parities), work / "born_charges")
    shutil.copy(work / "born_charges.png", HERE / "born_charges.png")
    shutil.copy(work / "liquid_shifted" / "parity_dipole.png", HERE / "liquid.png")


if __name__ == "__main__":
    main()
