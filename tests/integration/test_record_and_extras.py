"""Real i-PI, real clients over a socket, their records, and observing afterwards."""

from __future__ import annotations

import re
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from ipi_runs import ffsocket, make_input, write_oscillators

from mlobs_client import load_config
from mlobs_client.client.build import assemble
from mlobs_client.client.observe import observe_trajectory, read_observed
from mlobs_client.ipi import iterate_beads, read_bead_extras, read_beads
from mlobs_client.ipi.trajectory import Frame
from mlobs_client.record import Joined, join_record, open_record
from mlobs_client.structure import Structure
from mlobs_client.studies import RunSet

OBSERVABLES = """[field]
vector = [0.01, -0.02, 0.03]
unit = "atomic_unit"
second_order = true
[observables]
extras = ["dipole"]
record = ["dipole", "polarizability", "polarizability_gradient", "born_charges", "positions"]
"""
OUTPUT = """<output prefix='run'>
    <properties stride='1' filename='out'> [step, conserved] </properties>
    <checkpoint filename='chk' stride='10' overwrite='true'/>
    <trajectory filename='pos' stride='1'> positions{angstrom} </trajectory>
    <trajectory filename='dipole' stride='1' extra_type='dipole'> extras </trajectory>
    <trajectory filename='row' stride='1' extra_type='record_row'> extras </trajectory>
    <trajectory filename='record' stride='1' extra_type='record'> extras </trajectory>
  </output>"""
MLOBS = (sys.executable, "-m", "mlobs_client", "client", "client.toml")


@pytest.fixture
def folder(tmp_path: Path, unix_address: str) -> Path:
    write_oscillators(tmp_path, unix_address, OBSERVABLES)
    return tmp_path


def ring_polymer(address: str, steps: int, batch: int) -> str:
    socket = ffsocket(address, batch)
    return make_input(OUTPUT, socket, steps, beads=8, mode="nvt")


def join(folder: Path):
    records = [open_record(path) for path in sorted(folder.glob("observables*.h5"))]
    extras = [read_bead_extras(folder / "run.row"), read_bead_extras(folder / "run.record")]
    return records, join_record(extras, records)


def recorded_frames(joined: Joined, template: Structure) -> Iterator[Frame]:
    """Positions in full precision."""
    numbers, cell = template.numbers, template.cell
    for step, beads in zip(joined.steps, joined.values["positions"], strict=True):
        for bead, positions in enumerate(beads):
            yield Frame("positions", numbers, positions, cell, (), step=int(step), bead=bead)


def assert_joined_is_true(folder: Path, joined) -> None:
    """Rows are those of this bead and step, and not of a neighbour."""
    printed = read_bead_extras(folder / "run.dipole")
    np.testing.assert_array_equal(printed.steps, joined.steps)
    np.testing.assert_allclose(
        printed.values["dipole"], joined.values["dipole"], rtol=1e-8, atol=1e-10
    )
    positions = read_beads(folder / "run.pos").values
    # 6 digits of 23 bohr
    np.testing.assert_allclose(joined.values["positions"], positions, atol=1.3e-4)
    distances = np.abs(np.diff(positions, axis=1)).max(axis=(2, 3))
    assert np.median(distances) > 1e-3  # other beads would have been noticed


@pytest.mark.parametrize("batch", [1, 3])
def test_records_of_two_clients_are_joined_to_beads_and_steps(
    folder: Path, unix_address: str, start, start_ipi, batch: int
) -> None:
    clients = [start(MLOBS, folder, f"client-{i}") for i in range(2)]
    ipi = start_ipi(folder, ring_polymer(unix_address, steps=12, batch=batch))
    assert ipi.wait() == 0, ipi.text
    assert [client.wait() for client in clients] == [0, 0], clients[0].text
    records, joined = join(folder)
    assert joined.steps.tolist() == list(range(13))
    assert joined.values["born_charges"].shape == (13, 8, 3, 3, 3)
    # What pads i-PI's batches is not recorded. At step 0 the beads are the same structure, so
    # that those of one batch share a row.
    assert sum(map(len, records)) == 8 * 12 + (8 if batch == 1 else 3)
    assert_joined_is_true(folder, joined)
    found = RunSet([folder / "run"], records=[folder]).observable("born_charges")
    np.testing.assert_array_equal(found.values[0], joined.values["born_charges"].mean(axis=1))
    assert found.n_beads == 8


def test_observing_afterwards_gives_the_numbers_of_the_simulation(
    folder: Path, unix_address: str, start, start_ipi
) -> None:
    start(MLOBS, folder, "client")
    ipi = start_ipi(folder, ring_polymer(unix_address, steps=8, batch=4))
    assert ipi.wait() == 0, ipi.text
    _, joined = join(folder)
    assembly = assemble(load_config(folder / "client.toml"), folder)
    wanted = ("dipole", "polarizability", "polarizability_gradient", "born_charges")
    for frames, output, tolerance in (
        (recorded_frames(joined, assembly.structure), "exact.h5", 1e-9),
        (iterate_beads(folder / "run.pos"), "printed.h5", 2e-3),  # charges 2 x 6 digits, slopes 9
    ):
        observe_trajectory(
            frames, assembly.evaluators, wanted, folder / output, terms=assembly.terms
        )
        observed = read_observed(folder / output)
        np.testing.assert_array_equal(observed.steps, joined.steps)
        for name in wanted:
            difference = np.abs(observed.values[name] - joined.values[name]).max()
            assert difference < tolerance, name


def test_a_job_that_is_killed_and_continued_is_one_history(
    folder: Path, unix_address: str, start, start_ipi
) -> None:
    client = start(MLOBS, folder, "client")
    ipi = start_ipi(folder, ring_polymer(unix_address, steps=999, batch=1))
    ipi.wait_for_rows("run.out", 25)
    for running in (ipi, client):
        running.process.send_signal(signal.SIGKILL)
        running.wait()
    n_before = len(open_record(folder / "observables.h5"))
    Path(f"/tmp/ipi_{unix_address}").unlink()
    checkpoint = (folder / "run.chk").read_text()
    step = int(re.findall(r"<step>\s*(\d+)", checkpoint)[0])
    total = f"<total_steps>{step + 12}</total_steps>"
    again = start(MLOBS, folder, "again")
    ipi = start_ipi(folder, re.sub("<total_steps>.*</total_steps>", total, checkpoint))
    assert (ipi.wait(), again.wait()) == (0, 0), ipi.text + again.text
    records, joined = join(folder)
    assert len(records) == 1  # the client went on in the record of the killed one
    assert len(records[0]) >= n_before + 8 * 12
    assert records[0].find_corrupt_rows() == []
    assert joined.steps.tolist() == list(range(step + 13))
    assert_joined_is_true(folder, joined)
