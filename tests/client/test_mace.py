"""MACE models of a client file: one evaluator, and what is said of files that do not fit."""

from __future__ import annotations

import logging
import re
import shutil
from pathlib import Path

import pytest
from client_files import DIPOLE, NONE, WATER, assembled

from mlobs_client.errors import ConfigError, EvaluationError, ModelError
from mlobs_client.evaluate.mace.evaluator import MaceEvaluator
from mlobs_client.evaluate.model_files import resolve, trust


def test_all_mace_models_share_one_evaluator(tmp_path: Path) -> None:
    assembly = assembled(tmp_path, WATER + DIPOLE)
    (evaluator,) = assembly.evaluators
    assert {"energy", "energy_spread", "dipole", "born_charges"} <= evaluator.provides


def test_two_precisions_of_the_same_networks_are_refused(tmp_path: Path) -> None:
    same = 'models = ["bundled:water/potential-[01]"]\ndtype = "float32"\n'
    with pytest.raises(
        ConfigError, match=r"dtype = 'float64' and 'float32'; use the same value in both"
    ):
        assembled(tmp_path, f'{WATER}[dipole]\nkind = "mace"\n{same}{NONE}')


def test_the_batch_of_the_client_file_reaches_the_networks(tmp_path: Path) -> None:
    assembly = assembled(tmp_path, "batch = 3\n" + WATER)
    (evaluator,) = assembly.evaluators
    assert isinstance(evaluator, MaceEvaluator)
    assert evaluator.preferred_batch_size([assembly.structure] * 8) == 3


def test_species_that_the_models_do_not_know_are_named(tmp_path: Path) -> None:
    with pytest.raises(EvaluationError, match=r"know H, O, not C"):
        assembled(tmp_path, WATER, name="CH3OH")


def test_missing_models_are_named_with_those_that_are_there(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"matches no file.*water/potential-0"):
        assembled(tmp_path, WATER.replace("potential-[01]", "potental-0"))


def test_a_corrupt_model_is_named(tmp_path: Path) -> None:
    (tmp_path / "broken.model").write_bytes(b"\x80\x04 not a pickle")
    trust(tmp_path / "broken.model")
    with pytest.raises(ModelError, match=r"broken\.model: is not a model, or is damaged"):
        assembled(tmp_path, WATER.replace("bundled:water/potential-[01]", "broken.model"))


def test_all_models_that_are_not_trusted_are_named_at_once(tmp_path: Path) -> None:
    for name in ("one.model", "two.model"):
        (tmp_path / name).write_text(name)
    tables = WATER.replace("bundled:water/potential-[01]", "one.model")
    tables += DIPOLE.replace("bundled:water/dipole-0", "two.model")
    with pytest.raises(ModelError, match=f"trust {tmp_path}/one.model {tmp_path}/two.model$"):
        assembled(tmp_path, tables)


def test_a_dipole_model_is_refused_as_a_potential(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="AtomicDipolesMACE is not a potential"):
        assembled(tmp_path, WATER.replace("potential-[01]", "dipole-0"))


def test_a_dipole_with_learned_charges_is_refused_under_periodic_boundaries(tmp_path: Path) -> None:
    # AtomicDielectricMACE multiplies learned charges with positions
    multi = DIPOLE.replace("dipole-0", "polarizability-0")
    with pytest.raises(ModelError, match="dipole"):
        assembled(tmp_path, WATER + multi)


def test_single_precision_says_what_it_does_to_the_forces(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, logger="mlobs_client")
    assembled(tmp_path, WATER)
    assert "single precision" not in caplog.text
    assembled(tmp_path, WATER + 'dtype = "float32"\n')
    found = re.search(
        r"by at most (\S+) meV/angstrom; the largest is (\S+) eV/angstrom", caplog.text
    )
    assert found is not None
    # float32 rounds at 6e-8; networks of this depth lose a factor of ten to a thousand
    assert 1e-8 < float(found[1]) / 1e3 / float(found[2]) < 1e-4


def test_the_same_network_under_two_names_is_refused(tmp_path: Path) -> None:
    (original,) = resolve(["bundled:water/potential-0"], tmp_path)
    shutil.copy(original, tmp_path / "copy.model")
    text = WATER.replace("[01]", "0").replace('0"]', '0", "copy.model"]')
    with pytest.raises(ModelError, match=r"copy\.model are the same network.*name it once"):
        assembled(tmp_path, text)


def test_a_periodic_dipole_without_integers_is_refused_unless_the_file_insists(
    tmp_path: Path,
) -> None:
    without = WATER + "".join(DIPOLE.splitlines(keepends=True)[:-1])
    with pytest.raises(ConfigError, match=r"carries no charge.*write for example.*or \"none\""):
        assembled(tmp_path, without)
    (insisting,) = assembled(tmp_path, without + NONE).evaluators
    assert "dipole" in insisting.provides
    assert assembled(tmp_path, without, box=None).structure.pbc == (False, False, False)


@pytest.mark.parametrize("device", ["gpu", "cuda:99"])
def test_a_device_that_is_not_there_is_named(tmp_path: Path, device: str) -> None:
    with pytest.raises(ConfigError, match=f"device = '{device}' cannot be used here"):
        assembled(tmp_path, WATER + f'device = "{device}"\n')
