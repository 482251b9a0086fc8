"""Turn the public water data into training files: whole molecules, our units, ends kept out.

Usage: ``python prepare.py --data DIR [--work DIR]``. Writes three files to the work folder, and
``client.toml`` with ``calibrate_potential.extxyz`` and ``calibrate_dielectric.extxyz`` for ``mlobs
calibrate``:

=====================  =====================================================================
potential.extxyz       64 waters (PBE0+TS): ``REF_energy`` eV, ``REF_forces`` eV/angstrom;
                       gas-phase clusters (CCSD): ``REF_energy`` only
dielectric.extxyz      64 waters and gas-phase clusters: ``REF_remainder`` e angstrom (dipole less
                       its oxidation-number part), ``REF_polarizability`` angstrom^3; of the
                       liquid also ``REF_dipole``, and its ``conditions``, of two kinds
born_charges.extxyz    128 waters: ``REF_apt`` e, ``[I, i, j] = d dipole_i / d R_Ij``
=====================  =====================================================================

Every frame has ``origin`` (where it is from) and ``split``: ``calibrate`` and ``test`` for the two
ends of a trajectory, ``gap`` for frames that are near to them, ``repeat`` for one that hardly
differs from another, ``rest`` for the others. The spreads of the committees are calibrated on the
first end, and the cards give errors on the second. For ``train.sh``, the rest is also written as
``*-liquid.extxyz``, ``*-clusters.extxyz`` and ``born.extxyz``, and the liquid of the second end as
``*-test.extxyz``.
"""

import argparse
from pathlib import Path

import ase.io
import numpy as np
from ase import Atoms
from ase.geometry import find_mic
from ase.units import Bohr, Hartree
from trajectories import keep_ends_out

OXIDATION_NUMBERS = {8: -2, 1: +1}
HERE = Path(__file__).resolve().parent
WORK = HERE / "work"
DATA_SETS = """data sets in DIR (README.md says more), from public repositories on GitHub:
  liquid_water/forces.extxyz        deepmodeling/deepmd-kit, examples/water
  liquid_water/dielectric.extxyz    deepmodeling/deepmd-kit, examples/water_tensor
  liquid_water/born_charges.extxyz  pschienbein/AtomicPolarTensor, examples/liquid-water
  gas_water/monomer.xyz, dimer.xyz  dilkins/TENSOAP"""
LONGEST_GAS_OH = 1.25  # angstrom; beyond it CCSD clusters are half dissociated


def oxidation_dipole(atoms: Atoms) -> np.ndarray:
    """Return the multi-valued part of the dipole, e angstrom: sum of N_I R_I, without wrapping."""
    numbers = np.array([OXIDATION_NUMBERS[z] for z in atoms.numbers])
    return numbers @ atoms.positions


def make_molecules_whole(atoms: Atoms) -> tuple[Atoms, float]:
    """Move every hydrogen to the image that is nearest to its oxygen.

    Returns:
        A copy with whole molecules and the longest O-H distance in angstrom.
    """
    whole = atoms.copy()
    oxygens = np.flatnonzero(atoms.numbers == 8)
    longest = 0.0
    for hydrogen in np.flatnonzero(atoms.numbers == 1):
        vectors = atoms.positions[hydrogen] - atoms.positions[oxygens]
        vectors, lengths = find_mic(vectors, atoms.cell, atoms.pbc)
        nearest = lengths.argmin()
        whole.positions[hydrogen] = atoms.positions[oxygens[nearest]] + vectors[nearest]
        longest = max(longest, lengths[nearest])
    return whole, longest


def keep_clusters_out(frames: list[Atoms]) -> None:
    """Mark every tenth cluster ``test`` and the others ``rest``; each is a geometry of its own."""
    for place, atoms in enumerate(frames):
        atoms.info["split"] = "test" if place % 10 == 9 else "rest"


def symmetrised(tensor: np.ndarray) -> np.ndarray:
    """Return the symmetric part of nine numbers (files are asymmetric by 0.3 A^3)."""
    matrix = np.asarray(tensor).reshape(3, 3)
    return (0.5 * (matrix + matrix.T)).ravel()


def prepare_potential(data: Path) -> list[Atoms]:
    """Read energies and forces of the liquid."""
    frames = []
    for source in ase.io.iread(data / "liquid_water" / "forces.extxyz"):
        atoms = Atoms(source.numbers, source.positions, cell=source.cell, pbc=True)
        atoms.info["REF_energy"] = source.get_potential_energy()
        atoms.arrays["REF_forces"] = source.get_forces()
        atoms.info["origin"] = "liquid"
        frames.append(atoms)
    keep_ends_out(frames, n_calibrate=20, n_test=20)
    return frames


def prepare_gas_energies(data: Path) -> list[Atoms]:
    """Read energies of single and paired molecules (CCSD), O-H from 0.75 to 1.36 angstrom.

    The liquid's bonds are those of classical dynamics, 0.89 to 1.14 angstrom. A network trained on
    them alone lets a molecule dissociate below 0.6 eV, which happens in path integrals.
    """
    frames = []
    for origin in ("monomer", "dimer"):
        for source in ase.io.iread(data / "gas_water" / f"{origin}.xyz"):
            atoms = Atoms(source.symbols, source.positions)
            atoms.info["REF_energy"] = source.info["potential"] * Hartree
            atoms.info["origin"] = origin
            frames.append(atoms)
    keep_clusters_out(frames)
    return frames


def prepare_liquid_dielectric(data: Path) -> list[Atoms]:
    """Read dipoles and polarizabilities of the liquid, already in e angstrom and angstrom^3.

    The label is sum(O-H vectors) - 2 sum(Wannier displacements): the branch of whole molecules,
    on which subtracting the oxidation-number part leaves exactly the Wannier sum.
    """
    frames = []
    for source in ase.io.iread(data / "liquid_water" / "dielectric.extxyz"):
        atoms, _ = make_molecules_whole(
            Atoms(source.symbols, source.positions, cell=source.cell, pbc=True)
        )
        remainder = source.info["dipole_eA"] - oxidation_dipole(atoms)
        np.testing.assert_allclose(remainder, -2 * source.info["wc_displacement_sum_A"], atol=1e-5)
        atoms.info["REF_remainder"] = remainder
        atoms.info["REF_dipole"] = source.info["dipole_eA"]
        atoms.info["conditions"] = source.info["set"]
        atoms.info["REF_polarizability"] = symmetrised(source.info["polarizability_A3"])
        atoms.info["origin"] = "liquid"
        frames.append(atoms)
    first = [atoms for atoms in frames if atoms.info["conditions"] == "training"]
    second = [atoms for atoms in frames if atoms.info["conditions"] == "validation"]
    keep_ends_out(first, n_calibrate=6, n_test=8, repeats=0.3)
    for one in (second[::2], second[1::2]):  # two trajectories, each in time, in turn
        keep_ends_out(one, n_calibrate=4, n_test=5, shuffled=False)
    return frames


def prepare_gas_dielectric(data: Path) -> list[Atoms]:
    """Read dipoles and polarizabilities of single and paired molecules (CCSD), in atomic units."""
    frames = []
    for origin in ("monomer", "dimer"):
        for source in ase.io.iread(data / "gas_water" / f"{origin}.xyz"):
            atoms, longest = make_molecules_whole(Atoms(source.symbols, source.positions))
            if longest > LONGEST_GAS_OH:
                continue
            # neutral and not periodic: the dipole has one branch only
            atoms.info["REF_dipole"] = source.info["mu"] * Bohr
            atoms.info["REF_remainder"] = atoms.info["REF_dipole"] - oxidation_dipole(atoms)
            atoms.info["REF_polarizability"] = symmetrised(source.info["alpha"]) * Bohr**3
            atoms.info["origin"] = origin
            frames.append(atoms)
    keep_clusters_out(frames)
    return frames


def prepare_born_charges(data: Path) -> list[Atoms]:
    """Read Born charges of the liquid with another functional, without their mean over atoms.

    A neutral cell has Born charges that sum to zero; the file breaks this by up to 0.54 e. Its
    first index is the coordinate: the antisymmetric parts for H correlate by -0.45 with those of a
    dipole network that has seen no Born charges, so the file is transposed here.
    """
    frames = []
    for source in ase.io.iread(data / "liquid_water" / "born_charges.extxyz"):
        atoms, _ = make_molecules_whole(
            Atoms(source.symbols, source.positions, cell=source.cell, pbc=True)
        )
        apt = source.arrays["apt"].reshape(len(atoms), 3, 3).swapaxes(1, 2)
        atoms.arrays["REF_apt"] = (apt - apt.mean(axis=0)).reshape(-1, 9)
        atoms.info["origin"] = "born"
        frames.append(atoms)
    for place, atoms in enumerate(frames):  # ten frames of each of three trajectories, in time
        atoms.info["split"] = "test" if place % 10 == 9 else "rest"
    return frames


CLIENT = """structure = "calibrate_potential.extxyz"
[potential]
kind = "mace"
models = ["potential-*.model"]
[dipole]
kind = "mace"
models = ["dipole-*.model"]
oxidation_numbers = { O = -2, H = 1 }
[polarizability]
kind = "mace"
models = ["polarizability-*.model"]
"""


def write_calibration_files(potential: list[Atoms], dielectric: list[Atoms], work: Path) -> None:
    """Write the frames and the client file that ``mlobs calibrate`` reads."""
    for name, frames in (("potential", potential), ("dielectric", dielectric)):
        kept = [atoms for atoms in frames if atoms.info["split"] == "calibrate"]
        ase.io.write(work / f"calibrate_{name}.extxyz", kept)
    (work / "client.toml").write_text(CLIENT)


def write_training_files(
    potential: list[Atoms], dielectric: list[Atoms], born: list[Atoms], work: Path
) -> None:
    """Write the frames that ``train.sh`` reads, one file for each set of labels."""
    for name, frames in (("potential", potential), ("dielectric", dielectric)):
        liquid = [atoms for atoms in frames if atoms.info["origin"] == "liquid"]
        clusters = [atoms for atoms in frames if atoms.info["origin"] != "liquid"]
        for split, kept, where in (
            ("rest", liquid, "liquid"),
            ("rest", clusters, "clusters"),
            ("test", liquid, "test"),
        ):
            chosen = [atoms for atoms in kept if atoms.info["split"] == split]
            ase.io.write(work / f"{name}-{where}.extxyz", chosen)
    ase.io.write(work / "born.extxyz", [a for a in born if a.info["split"] == "rest"])


def main() -> None:
    """Write the files for training and calibration."""
    parser = argparse.ArgumentParser(
        description=__doc__.splitlines()[0],
        epilog=DATA_SETS,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--data", type=Path, required=True, metavar="DIR", help="folder of the data sets below"
    )
    parser.add_argument("--work", type=Path, default=WORK, help="folder for all that is made here")
    arguments = parser.parse_args()
    arguments.work.mkdir(parents=True, exist_ok=True)
    dielectric = prepare_liquid_dielectric(arguments.data) + prepare_gas_dielectric(arguments.data)
    potential = prepare_potential(arguments.data) + prepare_gas_energies(arguments.data)
    born = prepare_born_charges(arguments.data)
    write_calibration_files(potential, dielectric, arguments.work)
    write_training_files(potential, dielectric, born, arguments.work)
    for name, frames in {
        "potential": potential,
        "dielectric": dielectric,
        "born_charges": born,
    }.items():
        ase.io.write(arguments.work / f"{name}.extxyz", frames)
        splits = [atoms.info["split"] for atoms in frames]
        n_calibrate, n_test = splits.count("calibrate"), splits.count("test")
        print(f"{name}: {len(frames)} frames, {n_calibrate} to calibrate, {n_test} to test")


if __name__ == "__main__":
    main()
