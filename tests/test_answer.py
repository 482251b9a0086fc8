"""The client but the wire: what i-PI gets for a geometry."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import ase.io
import numpy as np
import pytest
from ase import Atoms

from mlobs_client.answer import Answer
from mlobs_client.errors import ConfigError, EvaluationError, MissingObservable
from mlobs_client.record.reader import open_record
from mlobs_client.structure import Array
from mlobs_client.units import ANGSTROM
from mlobs_client.wire import extras

CELL = np.array([[7.0, 0.3, 0.1], [-0.4, 6.5, 0.2], [0.5, -0.3, 7.2]])  # angstrom, triclinic
SITES = np.array([[0.1, 0.2, 0.3], [2.0, 1.0, 3.0], [4.0, 3.5, 1.0]])  # angstrom

CLIENT = f"""
structure = "init.xyz"
virial = "none"
[potential]
kind = "toy"
name = "charged_oscillators"
parameters = {{ sites = {(SITES * ANGSTROM).tolist()}, charges = [-2, 1, 1], cubic = 0.01 }}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    ase.io.write(tmp_path / "init.xyz", Atoms("OHH", SITES, cell=CELL, pbc=True), format="extxyz")
    return tmp_path


def answer(folder: Path, more: str = "", **replaced: Any) -> Answer:
    text = CLIENT + more
    for old, new in replaced.items():
        text = text.replace(old, new)
    (folder / "client.toml").write_text(text)
    return Answer.from_file(folder / "client.toml")


def geometries(n: int) -> tuple[Array, Array]:
    noise = np.random.default_rng(3).normal(scale=0.1, size=(n, 3, 3))
    return np.repeat(CELL[None] * ANGSTROM, n, axis=0), SITES * ANGSTROM + noise


def test_replies_come_in_the_order_of_the_geometries(folder: Path) -> None:
    with answer(folder) as together:
        replies = together(*geometries(3))
    with answer(folder) as alone:
        for i, reply in enumerate(replies):
            cells, positions = geometries(3)
            (single,) = alone(cells[i : i + 1], positions[i : i + 1])
            assert single.energy == reply.energy
            np.testing.assert_array_equal(single.forces, reply.forces)


def test_padding_is_answered_but_recorded_once(folder: Path) -> None:
    cells, positions = geometries(2)
    padded = (cells[[0, 1, 1, 1]], positions[[0, 1, 1, 1]])
    with answer(folder, '[observables]\nrecord = ["born_charges"]\n') as client:
        replies = client(*padded)
    assert len(replies) == 4
    rows = [int(extras.decode(reply.extras)["record_row"]) for reply in replies]
    assert rows == [0, 1, 1, 1]
    assert len(open_record(folder / "observables.h5")) == 2


def test_the_record_holds_positions_in_full_precision_on_request(folder: Path) -> None:
    cells, positions = geometries(2)
    with answer(folder, '[observables]\nrecord = ["positions"]\n') as client:
        client(cells, positions)
    record = open_record(folder / "observables.h5")
    np.testing.assert_array_equal(record.read("positions"), positions)


def test_extras_carry_what_the_client_file_names(folder: Path) -> None:
    cells, positions = geometries(1)
    with answer(folder, '[observables]\nextras = ["dipole"]\n') as client:
        (reply,) = client(cells, positions)
    dipole = extras.decode(reply.extras)["dipole"]
    np.testing.assert_allclose(dipole, [-2.0, 1.0, 1.0] @ positions[0], rtol=1e-14)


def test_a_field_lowers_the_energy_by_the_dipole_times_the_field(folder: Path) -> None:
    field = '[field]\nvector = [0.0, 0.3, 0.0]\nunit = "atomic_unit"\n'
    cells, positions = geometries(1)
    with answer(folder) as without, answer(folder, field) as client:
        difference = client(cells, positions)[0].energy - without(cells, positions)[0].energy
    dipole = np.array([-2.0, 1.0, 1.0]) @ positions[0]
    assert difference == pytest.approx(-0.3 * dipole[1], rel=1e-12)


def test_another_number_of_atoms_is_refused_with_both_numbers(folder: Path) -> None:
    cells, positions = geometries(1)
    with answer(folder) as client, pytest.raises(ConfigError, match=r"sends 2 atoms.* has 3"):
        client(cells, positions[:, :2])


def test_a_missing_virial_is_refused_unless_the_user_says_so(folder: Path) -> None:
    cells, positions = geometries(1)
    with answer(folder) as client:
        np.testing.assert_array_equal(client(cells, positions)[0].virial, 0.0)
    with (
        answer(folder, virial='virial = "auto" #') as client,
        pytest.raises(EvaluationError, match='virial = "none"'),
    ):
        client(cells, positions)


def test_what_no_model_gives_is_said_at_the_start(folder: Path) -> None:
    with pytest.raises(MissingObservable, match="no model of this client gives energy_spread"):
        answer(folder, '[observables]\nextras = ["energy_spread"]\n')


def test_positions_that_are_not_finite_are_named(folder: Path) -> None:
    cells, positions = geometries(1)
    positions[0, 1, 2] = np.nan
    with (
        answer(folder) as client,
        pytest.raises(EvaluationError, match=r"positions\[1, 2\] is nan"),
    ):
        client(cells, positions)


def test_a_wrapped_atom_is_noticed_in_a_field(folder: Path) -> None:
    field = '[field]\nvector = [0.0, 0.3, 0.0]\nunit = "atomic_unit"\n'
    cells, positions = geometries(1)
    wrapped = positions.copy()
    wrapped[0, 0] += CELL[1] * ANGSTROM
    with answer(folder, field) as client:
        client(cells, positions)
        with pytest.raises(EvaluationError, match="pbc='False'"):
            client(cells, wrapped)


def test_a_record_says_where_its_numbers_come_from(folder: Path) -> None:
    with answer(folder, '[observables]\nrecord = ["dipole"]\n') as client:
        client(*geometries(1))
    attributes = open_record(folder / "observables.h5").attributes
    assert "charged_oscillators" in str(attributes["client_file"])
