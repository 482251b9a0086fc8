"""Members start from a committee or from one file, and keep what these know."""

from __future__ import annotations

from pathlib import Path

import ase.io
import numpy as np
import pytest
import torch
from ase import Atoms

from mlobs_client.errors import ConfigError, ModelError
from mlobs_client.evaluate.model_files import quiet_third_parties, trust
from mlobs_client.learn.files import write_pickle
from mlobs_client.learn.member import read_record
from mlobs_client.learn.networks import SIZES, Architecture, build
from mlobs_client.learn.start import Start, find_start, read_start, set_free_atoms
from mlobs_client.learn.training import data_digest, read_data_set, train_committee

FREE = np.array([-13.0, -40.0, -430.0])  # eV, of H, He and O


@pytest.fixture(scope="module")
def foundation(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A potential of H, He and O, with another cutoff than ours."""
    torch.manual_seed(5)
    size = SIZES["small"]._replace(channels=4, radial=(8,))
    network = build(Architecture("potential", size, (1, 2, 8), 3.5, 4.0), torch.float64, FREE)
    path = tmp_path_factory.mktemp("foundation") / "all.model"
    with quiet_third_parties():
        write_pickle(path, network)
    trust(path)
    return path


def energies(network: torch.nn.Module) -> np.ndarray:
    return network.atomic_energies_fn.atomic_energies.flatten().numpy()


def test_members_start_from_the_members_of_a_folder_in_turn(trained, tmp_path: Path) -> None:
    done = trained("dipole")
    content = done.paths[0].read_bytes()
    for member in (0, 2, 10):
        (tmp_path / f"dipole-{member}.model").write_bytes(content)
    start = find_start(tmp_path, "dipole")
    assert [path.stem for path in start.paths] == ["dipole-0", "dipole-2", "dipole-10"]
    assert start.of_member(4).stem == "dipole-2"
    assert (start.species, start.cutoff) == ((1, 8), 3.0)
    with pytest.raises(ConfigError, match=r"has no file potential-0\.model to start from"):
        find_start(tmp_path, "potential")
    with pytest.raises(ConfigError, match=r"--start .*nowhere: does not exist; name a model file"):
        find_start(tmp_path / "nowhere", "potential")
    with pytest.raises(ModelError, match="a AtomicDipolesMACE is not"):
        find_start(done.paths[0], "potential")


def test_a_foundation_model_is_tuned_with_its_own_size_and_species(
    settings, frames, foundation: Path, tmp_path: Path
) -> None:
    start = find_start(foundation, "potential")
    wanted = settings("potential", cutoff=start.cutoff, start=start.digests, steps=4, rate=0.001)
    data_set = read_data_set(wanted, frames, start=start)
    assert data_set.species == (1, 2, 8)
    (path,) = train_committee(wanted, data_set, tmp_path / "tuned", 1, lambda *_: None, start=start)
    before, after = read_start(foundation, "potential"), read_start(path, "potential")
    assert float(after.r_max) == 3.5
    for one, other in zip(before.parameters(), after.parameters(), strict=True):
        assert 0.0 <= float((one - other).abs().max().detach()) < 0.01  # 4 steps of 0.001
    # helium is as before; hydrogen and oxygen have the zero of the data
    assert energies(after)[1] == FREE[1]
    assert abs(energies(after)[2] - FREE[2]) > 1.0
    assert read_record(path)["error"] < 2.0


def test_species_of_another_level_of_theory_keep_the_energies_of_free_atoms(
    settings, frames, foundation: Path, tmp_path: Path
) -> None:
    helium = [
        Atoms("He2", [[0, 0, 0], [0, 0, d]], info={"REF_energy": -50.0 + d}) for d in (1.5, 2.0)
    ]
    ase.io.write(tmp_path / "helium.extxyz", helium)
    start = find_start(foundation, "potential")
    further = ((data_digest(tmp_path / "helium.extxyz"), 0.1),)
    wanted = settings(
        "potential", cutoff=3.5, start=start.digests, steps=4, rate=0.001, also=further
    )
    data_set = read_data_set(wanted, frames, [tmp_path / "helium.extxyz"], start=start)
    (path,) = train_committee(wanted, data_set, tmp_path / "tuned", 1, lambda *_: None, start=start)
    assert energies(read_start(path, "potential"))[1] == FREE[1]


def test_species_that_the_network_does_not_know_are_refused(
    settings, frames, foundation: Path
) -> None:
    only = Start((foundation,), (1, 2), 3.5)
    with pytest.raises(ConfigError, match=r"does not know the atomic numbers \[8\]"):
        read_data_set(settings("potential"), frames, start=only)


def test_energies_of_free_atoms_are_set_where_they_are_known(foundation: Path) -> None:
    network = read_start(foundation, "potential")
    set_free_atoms(network, np.array([-1.0, np.nan, -3.0]))
    np.testing.assert_array_equal(energies(network), [-1.0, FREE[1], -3.0])
    set_free_atoms(network, None)
    np.testing.assert_array_equal(energies(network), np.zeros(3))
