"""Real i-PI, real clients over a socket, their records, and observing afterwards."""

from __future__ import annotations

import re
import signal
import sys
from pathlib import Path

import numpy as np
import pytest

from mlobs_client import load_config
from mlobs_client.build import build
from mlobs_client.observe import observe_trajectory, read_observed
from mlobs_client.outputs import iterate_beads, read_bead_extras, read_beads
from mlobs_client.record import join_record, open_record, record_frames

CLIENT = """
structure = "structure.extxyz"
virial = "none"
[socket]
address = "{address}"
[potential]
kind = "toy"
name = "charged_oscillators"
parameters = {{sites = [[0, 0, 0], [2, 1, 0], [0, 2, -3]], charges = [-2, 1, 1], cubic = 0.01, \
polarizability_slope = [[[1,2,3],[4,5,6],[7,8,9]], [[1,3,2],[0,1,0],[2,0,1]], \
[[5,1,4],[9,8,7],[0,0,6]]]}}
[field]
vector = [0.01, -0.02, 0.03]
unit = "atomic_unit"
second_order = true
[observables]
extras = ["dipole"]
record = ["dipole", "polarizability", "polarizability_gradient", "born_charges", "positions"]
"""
STRUCTURE = """3
Lattice="10.0 0.0 0.0 1.0 11.0 0.0 0.5 0.7 12.0" Properties=species:S:1:pos:R:3 pbc="T T T"
O 0.1 0.2 0.3
H 1.0 0.3 0.2
H -0.2 1.1 -1.3
"""
INIT_XYZ = """3
# CELL(H): 10.0 1.0 0.5 0.0 11.0 0.7 0.0 0.0 12.0 positions{angstrom} cell{angstrom}
O 0.1 0.2 0.3
H 1.0 0.3 0.2
H -0.2 1.1 -1.3
"""
INPUT = """
<simulation verbosity='low'>
  <output prefix='run'>
    <properties stride='1' filename='out'> [step, conserved] </properties>
    <checkpoint filename='chk' stride='10' overwrite='true'/>
    <trajectory filename='pos' stride='1'> positions{{angstrom}} </trajectory>
    <trajectory filename='dipole' stride='1' extra_type='dipole'> extras </trajectory>
    <trajectory filename='row' stride='1' extra_type='record_row'> extras </trajectory>
    <trajectory filename='record' stride='1' extra_type='record'> extras </trajectory>
  </output>
  <total_steps> {steps} </total_steps>
  <prng><seed> 7 </seed></prng>
  <ffsocket name='mlobs' mode='unix' pbc='False'>
    <address> {address} </address> <latency> 1e-4 </latency> <timeout> 5 </timeout>
    <batch_size> {batch} </batch_size>
  </ffsocket>
  <system>
    <initialize nbeads='8'>
      <file mode='xyz'> init.xyz </file>
      <velocities mode='thermal' units='kelvin'> 300 </velocities>
    </initialize>
    <forces><force forcefield='mlobs'/></forces>
    <ensemble><temperature units='kelvin'> 300 </temperature></ensemble>
    <motion mode='dynamics'>
      <dynamics mode='nvt'>
        <timestep units='femtosecond'> 0.25 </timestep>
        <thermostat mode='pile_g'><tau units='femtosecond'> 50 </tau></thermostat>
      </dynamics>
    </motion>
  </system>
</simulation>
"""
MLOBS = (sys.executable, "-m", "mlobs_client", "client", "client.toml")


@pytest.fixture
def folder(tmp_path: Path, unix_address: str) -> Path:
    (tmp_path / "init.xyz").write_text(INIT_XYZ)
    (tmp_path / "structure.extxyz").write_text(STRUCTURE)
    (tmp_path / "client.toml").write_text(CLIENT.format(address=unix_address))
    return tmp_path


def join(folder: Path):
    records = [open_record(path) for path in sorted(folder.glob("observables*.h5"))]
    extras = [read_bead_extras(folder / "run.row"), read_bead_extras(folder / "run.record")]
    return records, join_record(extras, records)


def assert_joined_is_true(folder: Path, joined) -> None:
    """Rows are those of this bead and step, and not of a neighbour."""
    printed = read_bead_extras(folder / "run.dipole")
    np.testing.assert_array_equal(printed.steps, joined.steps)
    np.testing.assert_allclose(
        printed.values["dipole"], joined.values["dipole"], rtol=1e-8, atol=1e-10
    )
    positions = read_beads(folder / "run.pos").values
    np.testing.assert_allclose(joined.values["positions"], positions, atol=2e-5)  # 6 digits
    distances = np.abs(np.diff(positions, axis=1)).max(axis=(2, 3))
    assert np.median(distances) > 1e-3  # other beads would have been noticed


@pytest.mark.parametrize("batch", [1, 3])
def test_records_of_two_clients_are_joined_to_beads_and_steps(
    folder: Path, unix_address: str, start, start_ipi, batch: int
) -> None:
    clients = [start(MLOBS, folder, f"client-{i}") for i in range(2)]
    ipi = start_ipi(folder, INPUT.format(address=unix_address, steps=12, batch=batch))
    assert ipi.wait() == 0, ipi.text
    assert [client.wait() for client in clients] == [0, 0], clients[0].text
    records, joined = join(folder)
    assert joined.steps.tolist() == list(range(13))
    assert joined.values["born_charges"].shape == (13, 8, 3, 3, 3)
    # What pads i-PI's batches is not recorded. At step 0 the beads are the same structure, so
    # that those of one batch share a row.
    assert sum(map(len, records)) == 8 * 12 + (8 if batch == 1 else 3)
    assert_joined_is_true(folder, joined)


def test_observing_afterwards_gives_the_numbers_of_the_simulation(
    folder: Path, unix_address: str, start, start_ipi
) -> None:
    start(MLOBS, folder, "client")
    ipi = start_ipi(folder, INPUT.format(address=unix_address, steps=8, batch=4))
    assert ipi.wait() == 0, ipi.text
    _, joined = join(folder)
    assembly = build(load_config(folder / "client.toml"), folder)
    wanted = ("dipole", "polarizability", "polarizability_gradient", "born_charges")
    for frames, output, tolerance in (
        (record_frames(joined, assembly.structure), "exact.h5", 1e-9),
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
    ipi = start_ipi(folder, INPUT.format(address=unix_address, steps=999, batch=1))
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
