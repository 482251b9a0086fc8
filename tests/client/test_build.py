"""From a client file to evaluators and terms, and what is said when they do not fit."""

from __future__ import annotations

import logging
import re
import shutil
from pathlib import Path

import ase.io
import numpy as np
import pytest
from ase.build import molecule

from mlobs_client.client.build import Assembly, build
from mlobs_client.client.config import load_config
from mlobs_client.client.total_energy import predict
from mlobs_client.errors import ConfigError, EvaluationError, ModelError
from mlobs_client.evaluate.mace.evaluator import MaceEvaluator
from mlobs_client.evaluate.model_files import resolve, trust
from mlobs_client.terms.displacement import FixedDisplacement
from mlobs_client.terms.field import UniformField, UnwrappedPositions

WATER = """
structure = "init.xyz"
[potential]
kind = "mace"
models = ["bundled:water/potential-[01]"]
"""
DIPOLE = """
[dipole]
kind = "mace"
models = ["bundled:water/dipole-0"]
oxidation_numbers = { O = -2, H = 1 }
"""
IONS = """
name = "charged_oscillators"
parameters = { sites = [[0, 0, 0], [1, 1, 0], [1, -1, 0]], charges = [-2, 1, 1] }
"""
NONE = 'oxidation_numbers = "none"\n'
ANALYTIC = """
structure = "init.xyz"
[potential]
kind = "ase"
calculator = "ase.calculators.lj.LennardJones"
[dipole]
kind = "toy"
name = "qtip4pf"
"""


def assemble(folder: Path, text: str, name: str = "H2O", box: float | None = 9.0) -> Assembly:
    atoms = molecule(name)
    if box is not None:
        atoms.set_cell([[box, 0.2, 0.1], [0.0, box, 0.3], [-0.1, 0.0, box]])
        atoms.pbc = True
    ase.io.write(folder / "init.xyz", atoms, format="extxyz")
    (folder / "client.toml").write_text(text)
    return build(load_config(folder / "client.toml"), folder)


def test_all_mace_models_share_one_evaluator(tmp_path: Path) -> None:
    assembly = assemble(tmp_path, WATER + DIPOLE)
    (evaluator,) = assembly.evaluators
    assert {"energy", "energy_spread", "dipole", "born_charges"} <= evaluator.provides


def test_two_precisions_of_the_same_networks_are_refused(tmp_path: Path) -> None:
    same = 'models = ["bundled:water/potential-[01]"]\ndtype = "float32"\n'
    with pytest.raises(ConfigError, match=r"dtype = 'float64' and 'float32'; say the same in both"):
        assemble(tmp_path, f'{WATER}[dipole]\nkind = "mace"\n{same}{NONE}')


def test_the_batch_of_the_client_file_reaches_the_networks(tmp_path: Path) -> None:
    assembly = assemble(tmp_path, "batch = 3\n" + WATER)
    (evaluator,) = assembly.evaluators
    assert isinstance(evaluator, MaceEvaluator)
    assert evaluator.at_once([assembly.structure] * 8) == 3


def test_two_families_of_models_give_each_observable_once(tmp_path: Path) -> None:
    potential, dipole = assemble(tmp_path, ANALYTIC, box=None).evaluators
    assert "energy" in potential.provides
    assert "dipole" in dipole.provides
    assert not potential.provides & dipole.provides


def test_the_structure_has_the_periodicity_of_its_file_unless_the_client_file_says_so(
    tmp_path: Path,
) -> None:
    assert assemble(tmp_path, WATER).structure.pbc == (True, True, True)
    said = "pbc = [true, false, false]\n" + WATER
    assert assemble(tmp_path, said).structure.pbc == (True, False, False)


def test_species_that_the_models_do_not_know_are_named(tmp_path: Path) -> None:
    with pytest.raises(EvaluationError, match=r"know H, O, not C"):
        assemble(tmp_path, WATER, name="CH3OH")


def test_missing_models_are_named_with_those_that_are_there(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"matches no file.*water/potential-0"):
        assemble(tmp_path, WATER.replace("potential-[01]", "potental-0"))


def test_a_corrupt_model_is_named(tmp_path: Path) -> None:
    (tmp_path / "broken.model").write_bytes(b"\x80\x04 not a pickle")
    trust(tmp_path / "broken.model")
    with pytest.raises(ModelError, match=r"broken\.model: not a model, or a damaged file"):
        assemble(tmp_path, WATER.replace("bundled:water/potential-[01]", "broken.model"))


def test_all_models_that_are_not_trusted_are_named_at_once(tmp_path: Path) -> None:
    for name in ("one.model", "two.model"):
        (tmp_path / name).write_text(name)
    tables = WATER.replace("bundled:water/potential-[01]", "one.model")
    tables += DIPOLE.replace("bundled:water/dipole-0", "two.model")
    with pytest.raises(ModelError, match=f"trust {tmp_path}/one.model {tmp_path}/two.model$"):
        assemble(tmp_path, tables)


def test_a_dipole_model_is_refused_as_a_potential(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="AtomicDipolesMACE is not a potential"):
        assemble(tmp_path, WATER.replace("potential-[01]", "dipole-0"))


def test_a_dipole_with_learned_charges_is_refused_under_periodic_boundaries(tmp_path: Path) -> None:
    # AtomicDielectricMACE multiplies learned charges with positions
    multi = DIPOLE.replace("dipole-0", "polarizability-0")
    with pytest.raises(ModelError, match="dipole"):
        assemble(tmp_path, WATER + multi)


def test_a_structure_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    (tmp_path / "client.toml").write_text(WATER)
    with pytest.raises(ConfigError, match=r"init\.xyz does not exist"):
        build(load_config(tmp_path / "client.toml"), tmp_path)


def test_a_structure_file_that_is_not_a_structure_is_named(tmp_path: Path) -> None:
    (tmp_path / "init.xyz").write_text("hello\n")
    (tmp_path / "client.toml").write_text(WATER)
    with pytest.raises(ConfigError, match="is the number of atoms, not 'hello'"):
        build(load_config(tmp_path / "client.toml"), tmp_path)


def test_a_periodic_cell_without_volume_is_refused(tmp_path: Path) -> None:
    atoms = molecule("H2O")
    ase.io.write(tmp_path / "init.xyz", atoms, format="extxyz")
    (tmp_path / "client.toml").write_text("pbc = [true, true, true]\n" + WATER)
    with pytest.raises(EvaluationError, match="has no volume"):
        build(load_config(tmp_path / "client.toml"), tmp_path)


def test_the_structure_is_in_bohr(tmp_path: Path) -> None:
    assembly = assemble(tmp_path, WATER)
    bond = assembly.structure.positions[1] - assembly.structure.positions[0]
    # O-H of ASE's water, 0.9686 angstrom
    assert np.linalg.norm(bond) == pytest.approx(0.9686 / 0.529177, rel=1e-3)


def test_single_precision_says_what_it_does_to_the_forces(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, logger="mlobs_client")
    assemble(tmp_path, WATER)
    assert "single precision" not in caplog.text
    assemble(tmp_path, WATER + 'dtype = "float32"\n')
    found = re.search(r"by at most (\S+) meV/angstrom, of at most (\S+) eV/angstrom", caplog.text)
    assert found is not None
    # float32 rounds at 6e-8; networks of this depth lose a factor of ten to a thousand
    assert 1e-8 < float(found[1]) / 1e3 / float(found[2]) < 1e-4


def test_the_same_network_under_two_names_is_refused(tmp_path: Path) -> None:
    (original,) = resolve(["bundled:water/potential-0"], tmp_path)
    shutil.copy(original, tmp_path / "copy.model")
    text = WATER.replace("[01]", "0").replace('0"]', '0", "copy.model"]')
    with pytest.raises(ModelError, match=r"copy\.model are the same network.*name it once"):
        assemble(tmp_path, text)


def test_a_periodic_dipole_without_integers_is_refused_unless_the_file_insists(
    tmp_path: Path,
) -> None:
    without = WATER + "".join(DIPOLE.splitlines(keepends=True)[:-1])
    with pytest.raises(ConfigError, match=r"carries no charge.*write for example.*or \"none\""):
        assemble(tmp_path, without)
    (insisting,) = assemble(tmp_path, without + NONE).evaluators
    assert "dipole" in insisting.provides
    assert assemble(tmp_path, without, box=None).structure.pbc == (False, False, False)


def test_integers_that_add_up_to_a_charge_are_warned_of(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    assemble(tmp_path, WATER + DIPOLE)
    assert "add up" not in caplog.text
    assemble(tmp_path, WATER + DIPOLE.replace("H = 1", "H = 2"))
    assert "oxidation_numbers add up to +2 e" in caplog.text


@pytest.mark.parametrize("reduced", [False, True])
def test_a_displacement_of_a_client_file_is_a_term_with_the_guard_of_positions(
    tmp_path: Path, reduced: bool
) -> None:
    table = f'[displacement]\nvector = [0, 0, 1]\nunit = "atomic_unit"\nreduced = {reduced}\n'
    text = ANALYTIC.replace('name = "qtip4pf"\n', IONS) + table.lower()
    term, guard = assemble(tmp_path, text).terms
    assert isinstance(term, FixedDisplacement)
    assert term.displacement.tolist() == [0.0, 0.0, 1.0]
    assert (term.reference_cell is not None) == reduced
    assert isinstance(guard, UnwrappedPositions)
    with pytest.raises(ConfigError, match=r"\[displacement\] needs a structure that is periodic"):
        assemble(tmp_path, text, box=None)


def test_a_displacement_far_from_the_branch_of_the_structure_is_warned_of(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    table = '[displacement]\nvector = [0.0, 0.0, 0.1]\nunit = "V/angstrom"\n'
    assemble(tmp_path, WATER + DIPOLE + table)
    assert "few materials bear" not in caplog.text
    atoms = ase.io.read(tmp_path / "init.xyz")
    atoms.positions[1] += atoms.cell[0]  # an H, as if the boundary had split the molecule
    ase.io.write(tmp_path / "init.xyz", atoms, format="extxyz")
    build(load_config(tmp_path / "client.toml"), tmp_path)
    (warning,) = (one.message for one in caplog.records if one.levelname == "WARNING")
    quantum = 4.0 * np.pi * 14.3996 * atoms.cell[0, 0] / atoms.get_volume()  # e^2 in eV angstrom
    found = re.search(r"is \[(\S+),.*4 pi P = \[(\S+),", warning)
    assert found is not None
    # in the field of a molecule, 0.2 V/angstrom
    assert [-float(found[1]), float(found[2])] == pytest.approx([quantum] * 2, abs=0.3)


def test_restored_charges_add_up_to_the_oxidation_numbers(tmp_path: Path) -> None:
    rule = '[observables]\nextras = ["born_charges"]\nsum_rule = "restore"\n'
    for numbers, charge in (("O = -2, H = 1", 0), ("O = -1, H = 1", 1)):
        text = WATER + DIPOLE.replace("O = -2, H = 1", numbers) + rule
        assembly = assemble(tmp_path, text)
        (prediction,) = predict(
            [assembly.structure], assembly.evaluators, assembly.terms, frozenset({"born_charges"})
        )
        found = prediction.observables["born_charges"].sum(axis=0)
        assert found == pytest.approx(charge * np.eye(3), abs=1e-14)


FORMAL = """
structure = "init.xyz"
[potential]
kind = "toy"
name = "qtip4pf"
[dipole]
kind = "toy"
oxidation_numbers = { O = -2, H = 1 }
"""


def test_formal_charges_need_no_network(tmp_path: Path, caplog) -> None:
    rule = '[observables]\nextras = ["born_charges"]\nsum_rule = "restore"\n'
    field = '[field]\nvector = [0, 0, 0.1]\nunit = "atomic_unit"\n'
    without, within = (assemble(tmp_path, FORMAL + more + rule, box=None) for more in ("", field))
    (free,), (driven,) = (
        predict([one.structure], one.evaluators, one.terms, frozenset({"dipole", "born_charges"}))
        for one in (without, within)
    )
    exact = np.array([-2, 1, 1]) @ without.structure.positions
    assert free.observables["dipole"] == pytest.approx(exact)
    forces = np.array([[0, 0, -0.2], [0, 0, 0.1], [0, 0, 0.1]])  # N E
    assert driven.forces - free.forces == pytest.approx(forces)
    assert not caplog.text
    assemble(tmp_path, FORMAL.replace("O = -2", "O = -1"), box=None)
    assert "add up to +1 e" in caplog.text


@pytest.mark.parametrize("numbers", ["", 'oxidation_numbers = "none"\n'])
def test_a_dipole_of_nothing_is_refused_with_both_remedies(tmp_path: Path, numbers: str) -> None:
    text = FORMAL.replace("oxidation_numbers = { O = -2, H = 1 }\n", numbers)
    with pytest.raises(
        ConfigError, match=r"name of a toy, or oxidation_numbers.*name = \"qtip4pf\""
    ):
        assemble(tmp_path, text, box=None)
    assemble(tmp_path, text + 'name = "qtip4pf"\n', box=None)


def test_fixed_voltages_need_a_cell(tmp_path: Path) -> None:
    table = '[field]\nvector = [0, 0, 1]\nunit = "V/nm"\nreduced = true\n'
    (term, _) = assemble(tmp_path, ANALYTIC + table).terms
    assert isinstance(term, UniformField)
    assert term.reference_cell is not None
    with pytest.raises(ConfigError, match=r"reduced = true needs a structure that is periodic"):
        assemble(tmp_path, ANALYTIC + table, box=None)


def test_a_structure_with_numbers_that_are_none_is_named_with_its_file(tmp_path: Path) -> None:
    (tmp_path / "init.xyz").write_text("1\n\nO nan 0 0\n")
    (tmp_path / "client.toml").write_text(WATER)
    with pytest.raises(EvaluationError, match=r"init\.xyz: positions\[0, 0\] is nan"):
        build(load_config(tmp_path / "client.toml"), tmp_path)


@pytest.mark.parametrize("device", ["gpu", "cuda:99"])
def test_a_device_that_is_not_there_is_named(tmp_path: Path, device: str) -> None:
    with pytest.raises(ConfigError, match=f"device = '{device}' cannot be used here"):
        assemble(tmp_path, WATER + f'device = "{device}"\n')
