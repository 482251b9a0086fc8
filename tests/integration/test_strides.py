"""``stride`` of a client file with the real i-PI: evaluated at the steps that i-PI writes."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import xml.etree.ElementTree as ET
from collections.abc import Sequence
from pathlib import Path

import ase
import ase.io
import numpy as np
import pytest
from ipi_runs import ffsocket, make_input, write_oscillators

from mlobs_client.ipi import read_bead_extras
from mlobs_client.record import join_record, open_record
from mlobs_client.structure import Array
from mlobs_client.units import ANGSTROM

CHARGES = np.array([-2.0, 1.0, 1.0])
N_BEADS = 4
STRIDE = 5
OBSERVABLES = """[observables]
extras = ["dipole"]
record = ["born_charges", "dipole", "positions"]
stride = 5
"""
# Checkpoints hold unwrapped positions of all beads, with all digits of floatformat.
OUTPUT = """<output prefix='run'>
    <properties stride='1' filename='out'> [step, conserved] </properties>
    <checkpoint filename='chk' stride='5' overwrite='false'/>
    <trajectory filename='dipole' stride='5' extra_type='dipole'> extras </trajectory>
    <trajectory filename='row' stride='5' extra_type='record_row'> extras </trajectory>
    <trajectory filename='record' stride='5' extra_type='record'> extras </trajectory>
  </output>"""
BAROSTAT = """<barostat mode='{mode}'> <tau units='femtosecond'> 200 </tau> {reference}
  <thermostat mode='langevin'> <tau units='femtosecond'> 100 </tau> </thermostat> </barostat>"""
REFERENCE = "<h0 shape='(3, 3)' units='angstrom'> [10, 1, 0.5, 0, 11, 0.7, 0, 0, 12] </h0>"
STRESS = "<pressure> 0 </pressure> <stress> [0, 0, 0, 0, 0, 0, 0, 0, 0] </stress>"
MLOBS = (sys.executable, "-m", "mlobs_client")


@pytest.fixture
def folder(tmp_path: Path, unix_address: str) -> Path:
    write_oscillators(tmp_path, unix_address, OBSERVABLES)
    return tmp_path


def write_input(
    address: str, steps: int, batch: int = N_BEADS, beads: int = N_BEADS, mode: str = "nvt"
) -> str:
    socket = ffsocket(address, batch)
    xml = make_input(OUTPUT, socket, steps, beads, mode="nvt")
    if mode in ("npt", "nst"):
        kind, reference = ("anisotropic", REFERENCE) if mode == "nst" else ("isotropic", "")
        barostat = BAROSTAT.format(mode=kind, reference=reference)
        xml = xml.replace("<timestep", f"{barostat} <timestep")
        xml = xml.replace("</ensemble>", f"{STRESS} </ensemble>")
    return xml.replace("mode='nvt'", f"mode='{mode}'")


def mlobs_run(folder: Path, *arguments: str) -> None:
    command = [*MLOBS, "run", *arguments, "client.toml"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=100)
    assert done.returncode == 0, done.stdout + done.stderr


def read_positions(folder: Path, n_beads: int) -> dict[int, Array]:
    """By step, ``[bead, atom, i]``; i-PI writes no checkpoint of step 0."""
    start = ase.io.read(folder / "init.xyz").positions * ANGSTROM
    found = {0: np.repeat(start[None], n_beads, axis=0)}
    shape = found[0].shape
    for path in folder.glob("run.chk_*"):
        root = ET.parse(path).getroot()
        numbers = re.findall(r"[-+.\de]+", root.findtext(".//beads/q", ""))
        step = int(root.findtext("step", "-1"))
        found[step] = np.array(numbers, dtype=float).reshape(shape)
    return found


def assert_observables_are_those_of_their_steps(folder: Path, steps: Sequence[int]) -> None:
    """In i-PI's files and, joined, in the record; steps are ``steps`` and no others."""
    dipoles = read_bead_extras(folder / "run.dipole")
    positions = read_positions(folder, dipoles.values["dipole"].shape[1])
    n_molecules = positions[0].shape[1] // 3
    records = [open_record(path) for path in folder.glob("observables*.h5")]
    extras = [read_bead_extras(folder / f"run.{name}") for name in ("row", "record")]
    joined = join_record(extras, records)
    assert dipoles.steps.tolist() == joined.steps.tolist() == list(steps)
    for s, step in enumerate(steps):
        wanted = np.einsum("I,bIi->bi", np.tile(CHARGES, n_molecules), positions[step])
        # 17 digits of numbers up to 50; at the start 8 digits of i-PI's own angstrom
        tolerance = {"rtol": 0.0, "atol": n_molecules * (1e-12 if step else 2e-6)}
        np.testing.assert_allclose(dipoles.values["dipole"][s], wanted, **tolerance)
        np.testing.assert_allclose(joined.values["dipole"][s], wanted, **tolerance)
        np.testing.assert_allclose(joined.values["positions"][s], positions[step], **tolerance)
    difference = np.diff([positions[step] for step in steps], axis=0)
    assert (np.abs(difference).max(axis=(1, 2, 3)) > 1e-3).all()  # another step would be noticed


def count_rows(folder: Path) -> int:
    return sum(len(open_record(path)) for path in folder.glob("observables*.h5"))


def test_observables_are_evaluated_at_the_steps_of_the_output_and_at_no_others(
    folder: Path, unix_address: str
) -> None:
    (folder / "input.xml").write_text(write_input(unix_address, steps=23))
    mlobs_run(folder, "input.xml")
    assert "stride has no effect" not in (folder / "client-0.log").read_text()
    assert_observables_are_those_of_their_steps(folder, [0, 5, 10, 15, 20])
    assert count_rows(folder) == 1 + 4 * N_BEADS  # the equal beads of step 0 are one structure


def test_a_restart_between_the_steps_of_the_output_keeps_them(
    folder: Path, unix_address: str
) -> None:
    (folder / "input.xml").write_text(write_input(unix_address, steps=7))
    mlobs_run(folder, "input.xml")
    restart = folder / "RESTART"
    text = restart.read_text()
    assert re.search(r"<step>\s*7\s*</step>", text)
    restart.write_text(
        re.sub("<total_steps>.*</total_steps>", "<total_steps>21</total_steps>", text)
    )
    mlobs_run(folder, "RESTART")
    assert_observables_are_those_of_their_steps(folder, [0, 5, 10, 15, 20])
    assert count_rows(folder) == 1 + 4 * N_BEADS


@pytest.mark.parametrize("mode", ["nve", "nvt", "npt", "nst"])
@pytest.mark.parametrize("splitting", ["obabo", "baoab"])
def test_a_step_is_one_evaluation_in_every_mode_that_is_counted(
    folder: Path, unix_address: str, start, start_ipi, mode: str, splitting: str
) -> None:
    client = start((*MLOBS, "client", "client.toml", "--step", "0"), folder, "client")
    xml = write_input(unix_address, steps=11, beads=1, batch=1, mode=mode)
    ipi = start_ipi(folder, xml.replace("<dynamics ", f"<dynamics splitting='{splitting}' "))
    assert (ipi.wait(), client.wait()) == (0, 0), ipi.text + client.text
    assert_observables_are_those_of_their_steps(folder, [0, 5, 10])
    assert count_rows(folder) == 3


def test_several_clients_evaluate_at_every_step_and_say_so(folder: Path, unix_address: str) -> None:
    (folder / "input.xml").write_text(write_input(unix_address, steps=6, batch=2))
    mlobs_run(folder, "input.xml", "-n", "2")
    assert "stride has no effect" in (folder / "client-1.log").read_text()
    assert_observables_are_those_of_their_steps(folder, [0, 5])
    assert count_rows(folder) >= 6 * N_BEADS


def test_a_client_that_is_started_again_evaluates_at_every_step(
    folder: Path, unix_address: str, start, start_ipi
) -> None:
    first = start((*MLOBS, "client", "client.toml", "--step", "0"), folder, "first")
    ipi = start_ipi(folder, write_input(unix_address, steps=300))
    ipi.wait_for_rows("run.out", 12)
    first.process.terminate()
    first.wait()
    n_before = count_rows(folder)
    again = start((*MLOBS, "client", "client.toml"), folder, "again")
    assert (ipi.wait(), again.wait()) == (0, 0), ipi.text + again.text
    n_done = len(ipi.read("run.out")) - 1
    assert n_done == 300
    assert count_rows(folder) - n_before > 2 * N_BEADS * (300 // STRIDE)
    assert_observables_are_those_of_their_steps(folder, range(0, 301, STRIDE))


def test_an_extra_that_is_not_there_stops_i_pi(
    folder: Path, unix_address: str, start, start_ipi
) -> None:
    """Why ``mlobs check`` calls it an error."""
    start((*MLOBS, "client", "client.toml", "--step", "0"), folder, "client")
    xml = write_input(unix_address, steps=6).replace("'dipole' stride='5'", "'dipole' stride='2'")
    ipi = start_ipi(folder, xml)
    assert ipi.wait() != 0
    assert "KeyError: \"Extra type 'dipole' is not among" in ipi.text
    command = [*MLOBS, "check", "input.xml", "client.toml", "--no-models", "-q"]
    said = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert said.returncode == 1
    assert "stride='2'" in said.stdout


def test_steps_that_i_pi_tears_are_counted(
    folder: Path, unix_address: str, start, start_ipi
) -> None:
    """Many atoms and beads: i-PI sends the first beads of a step before it has queued the last."""
    write_crystal(folder, n_molecules=200)
    (folder / "count.py").write_text(COUNT)
    client = start((sys.executable, "count.py"), folder, "client")
    ipi = start_ipi(folder, write_input(unix_address, steps=21, beads=32, batch=32))
    assert (ipi.wait(), client.wait()) == (0, 0), ipi.text + client.text
    sizes = json.loads((folder / "sizes.json").read_text())
    assert len(sizes) > 22  # else nothing was torn, and nothing is tested
    assert_observables_are_those_of_their_steps(folder, range(0, 22, STRIDE))
    assert "lost count" not in client.text


def write_crystal(folder: Path, n_molecules: int) -> None:
    """Each atom in a well about the place where it starts."""
    sites = np.random.default_rng(5).uniform(0.0, 30.0, (3 * n_molecules, 3))
    atoms = ase.Atoms("OHH" * n_molecules, sites, cell=[30.0] * 3, pbc=True)
    ase.io.write(folder / "init.xyz", atoms, format="extxyz")
    charges = np.tile(CHARGES, n_molecules).tolist()
    parameters = f"{{sites = {(sites * ANGSTROM).tolist()}, charges = {charges}}}"
    path = folder / "client.toml"
    path.write_text(re.sub("parameters = .*", f"parameters = {parameters}", path.read_text()))


COUNT = """
import json
from pathlib import Path
from mlobs_client import load_config
from mlobs_client.client.session import ClientSession
from mlobs_client.wire.client import run_client
from mlobs_client.wire.transport import UnixAddress

sizes = []
with ClientSession.from_file(Path("client.toml"), step=0) as answer:
    def reply(event):
        sizes.append(len(event.cells))
        return answer(event.cells, event.positions, event.batch_size)
    run_client(UnixAddress(load_config(Path("client.toml")).socket.address), 60, reply)
Path("sizes.json").write_text(json.dumps(sizes))
"""
