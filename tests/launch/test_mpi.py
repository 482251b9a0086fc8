"""The command of an MPI job. One that runs: tests/test_inputs.py."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from mlobs_client.client import config as client_file
from mlobs_client.client.service import ClientFile
from mlobs_client.errors import LaunchError
from mlobs_client.ipi.input import IpiInput, read
from mlobs_client.launch import mpi

CLIENT = """structure = "init.xyz"
[potential]
kind = "toy"
name = "qtip4pf"
"""


@pytest.fixture
def ipi(tmp_path: Path) -> IpiInput:
    (tmp_path / "input.xml").write_text("<simulation> <ffmpi name='mlobs'/> </simulation>")
    (tmp_path / mpi.PLUG_IN).touch()
    return read(tmp_path / "input.xml")


@pytest.fixture
def client(tmp_path: Path) -> ClientFile:
    path = tmp_path / "client.toml"
    path.write_text(CLIENT)
    return ClientFile(path, client_file.load_config(path), n_processes=3)


@pytest.fixture(autouse=True)
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.executable", str(tmp_path / "python"))
    monkeypatch.setenv("PATH", str(tmp_path))
    for name in ("mpirun", "i-pi-driver-py"):
        (tmp_path / name).touch(0o755)


def test_ipi_comes_first_and_drivers_evaluate_the_client_file(ipi, client, tmp_path) -> None:
    mpi.check(ipi, [client])
    words = mpi.command(ipi, client, ["i-pi", "input.xml"])
    assert words[:6] == [str(tmp_path / "mpirun"), "-n", "1", "i-pi", "input.xml", ":"]
    assert words[6:9] == ["-n", "3", str(tmp_path / "i-pi-driver-py")]
    assert words[-4:] == ["-P", "mlobs_pes.py", "-o", "client=client.toml"]


def test_several_client_files_or_no_driver_are_refused(ipi, client) -> None:
    for clients in ([], [client, client], [replace(client, n_processes=0)]):
        with pytest.raises(LaunchError, match="give one, with -n 1 or more"):
            mpi.check(ipi, clients)


def test_without_its_plug_in_or_without_mpi_the_remedy_is_named(ipi, client, tmp_path) -> None:
    (tmp_path / "mpirun").unlink()
    with pytest.raises(LaunchError, match=r"pip install \'mlobs\[mpi\]\'"):
        mpi.check(ipi, [client])
    (tmp_path / mpi.PLUG_IN).unlink()
    with pytest.raises(LaunchError, match="'mlobs init ffmpi' writes it"):
        mpi.check(ipi, [client])
