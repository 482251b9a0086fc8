"""The client but the wire: what i-PI gets for a geometry."""

from __future__ import annotations

import logging
import sys
from pathlib import Path
from types import FrameType
from typing import Any

import ase.io
import numpy as np
import pytest
from ase import Atoms

from mlobs_client.client.session import ClientSession
from mlobs_client.client.total_energy import predict
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


def answer(folder: Path, more: str = "", step: int | None = None, **replaced: Any) -> ClientSession:
    text = CLIENT + more
    for old, new in replaced.items():
        text = text.replace(old, new)
    (folder / "client.toml").write_text(text)
    return ClientSession.from_file(folder / "client.toml", step=step)


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


STRIDED = """[observables]
extras = ["dipole", "polarizability"]
record = ["born_charges", "positions"]
stride = { polarizability = 2, born_charges = 3, positions = 3 }
"""


def sent(client: ClientSession, n_requests: int, n_structures: int = 2) -> list[set[str]]:
    """The names of the extras of each request."""
    names = []
    for _ in range(n_requests):
        replies = [extras.decode(r.extras) for r in client(*geometries(n_structures))]
        assert all(set(reply) == set(replies[0]) for reply in replies)
        names.append(set(replies[0]))
    return names


def test_extras_and_rows_are_there_at_their_steps_only(folder: Path) -> None:
    with answer(folder, STRIDED, step=4) as client:
        found = sent(client, 6)
    row = {"record_row", "record"}
    tensor = {"polarizability"}
    assert [names - {"dipole"} for names in found] == [
        tensor,
        set(),
        row | tensor,
        set(),
        tensor,
        row,
    ]
    record = open_record(folder / "observables.h5")
    assert len(record) == 2 * 2  # steps 6 and 9 of two structures
    assert {"born_charges", "positions", "cell"} <= set(record.names)


def test_observables_that_are_not_due_are_not_evaluated(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[frozenset[str]] = []

    def spy(structures: Any, evaluators: Any, terms: Any, wanted: frozenset[str]) -> Any:
        asked.append(wanted)
        return predict(structures, evaluators, terms, wanted)

    monkeypatch.setattr("mlobs_client.client.session.predict", spy)
    with answer(folder, STRIDED, step=0) as client:
        sent(client, 4)
    large, small = {"born_charges"}, {"polarizability"}
    start = large | small
    assert [names - {"dipole"} for names in asked] == [start, start, set(), small, large]


def test_a_term_gets_what_it_needs_at_steps_without_observables(folder: Path) -> None:
    field = '[field]\nvector = [0.0, 0.3, 0.0]\nunit = "atomic_unit"\n'
    more = field + '[observables]\nextras = ["dipole"]\nstride = 5\n'
    cells, positions = geometries(2)
    with answer(folder, more, step=1) as sparse, answer(folder, field) as always:
        for reply, wanted in zip(sparse(cells, positions), always(cells, positions), strict=True):
            assert reply.extras == b""
            assert reply.energy == wanted.energy
            np.testing.assert_array_equal(reply.forces, wanted.forces)


def test_without_a_step_everything_is_evaluated_and_the_log_says_what_to_do(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with answer(folder, STRIDED) as client:
        found = sent(client, 4)
    assert all({"dipole", "polarizability", "record_row"} <= names for names in found)
    assert len(open_record(folder / "observables.h5")) == 8
    (said,) = caplog.messages
    assert "--step N" in said


def test_a_known_step_and_a_client_file_without_stride_say_nothing(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with answer(folder, STRIDED, step=0), answer(folder, '[observables]\nextras = ["dipole"]\n'):
        pass
    assert caplog.messages == []


def test_a_step_that_i_pi_tears_in_two_requests_is_one_step(folder: Path) -> None:
    cells, positions = geometries(3)
    with answer(folder, STRIDED, step=2) as client:
        client(cells, positions, 3)
        torn = client(cells[:1], positions[:1], 3) + client(cells[1:], positions[1:], 3)
        after = client(cells, positions, 3)
    assert all("record_row" in extras.decode(reply.extras) for reply in torn)
    assert not any("record_row" in extras.decode(reply.extras) for reply in after)


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


def test_a_missing_virial_is_refused_at_the_start_unless_the_user_says_so(folder: Path) -> None:
    cells, positions = geometries(1)
    with answer(folder) as client:
        np.testing.assert_array_equal(client(cells, positions)[0].virial, 0.0)
    # before i-PI sees the client, so that nobody starts it again
    with pytest.raises(EvaluationError, match='virial = "none"'):
        answer(folder, virial='virial = "auto" #')


def test_a_molecule_gets_a_zero_virial_by_itself(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, logger="mlobs_client")
    molecule = {"virial": "pbc = [false, false, false]\nvirial", '"none"': '"auto"'}
    with answer(folder, **molecule) as client:
        (reply,) = client(*geometries(1))
    np.testing.assert_array_equal(reply.virial, 0.0)
    assert "i-PI gets a zero virial, and pressures mean nothing" in caplog.text


def test_what_no_model_gives_is_said_at_the_start(folder: Path) -> None:
    with pytest.raises(MissingObservable, match="needs energy_spread, which no model"):
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


def test_a_molecule_whose_atoms_fill_the_cell_of_ipi_is_a_warning_once(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with answer(folder, structure="pbc = [false, false, false]\nstructure") as molecule:
        for _ in range(2):
            molecule(*geometries(1))
    assert caplog.text.count("its atoms fill the cell of i-PI") == 1
    caplog.clear()
    with answer(folder) as crystal:
        crystal(*geometries(1))
    assert "fill the cell" not in caplog.text


def test_forces_can_be_recorded(folder: Path) -> None:
    with answer(folder, '[observables]\nrecord = ["forces"]\n') as client:
        (reply,) = client(*geometries(1))
    record = open_record(folder / "observables.h5")
    np.testing.assert_array_equal(record.read("forces")[0], reply.forces)


def test_a_client_without_forces_is_refused_before_it_loads_models(folder: Path) -> None:
    dipole = {"potential": "dipole"}
    with pytest.raises(ConfigError, match=r"neither \[potential\] nor.*add one"):
        answer(folder, **dipole)


def test_a_hot_request_enters_at_most_twelve_modules(tmp_path: Path) -> None:
    """The client is eager, with one MACE network; who reads one step has to open them all."""
    ase.io.write(tmp_path / "init.xyz", Atoms("OHH", SITES, cell=CELL, pbc=True), format="extxyz")
    (tmp_path / "client.toml").write_text(
        'structure = "init.xyz"\ncompile = false\n'
        '[potential]\nkind = "mace"\nmodels = ["bundled:water/potential-0"]\n'
    )
    entered = set()

    def look(frame: FrameType, event: str, argument: object) -> None:
        module = str(frame.f_globals.get("__name__"))
        if event == "call" and module.startswith("mlobs_client."):
            entered.add(module)

    with ClientSession.from_file(tmp_path / "client.toml") as client:
        client(*geometries(1))
        sys.setprofile(look)
        try:
            client(*geometries(1))
        finally:
            sys.setprofile(None)
    assert {"mlobs_client.client.session", "mlobs_client.evaluate.committee"} <= entered
    assert len(entered) <= 12, sorted(entered)
