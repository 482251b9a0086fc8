from pathlib import Path

import pytest

from mlobs_client import config as client_file
from mlobs_client.check.agreement import ClientFile
from mlobs_client.check.ipi_input import read
from mlobs_client.errors import LaunchError
from mlobs_client.launch import local

CLIENT = """structure = "init.xyz"
[socket]
address = "tiny"
[potential]
kind = "toy"
name = "qtip4pf"
"""


EVERY = '[observables]\nextras = ["dipole"]\nevery = 5\n'
SYSTEM = """<system> <initialize nbeads='4'/> <forces> <force forcefield='a'/> </forces>
  <motion mode='dynamics'> <dynamics mode='nvt'/> </motion> </system>"""


def counting(folder: Path, client: str, batch_size: int, n_clients: int) -> frozenset[str]:
    """Which clients would be told the step."""
    (folder / "client.toml").write_text(client)
    (folder / "input.xml").write_text(
        f"""<simulation> <ffsocket name='a' mode='unix'> <address> tiny </address>
        <batch_size> {batch_size} </batch_size> </ffsocket> {SYSTEM} </simulation>"""
    )
    path = folder / "client.toml"
    file = ClientFile(path, client_file.load(path))
    names = {f"client-{i}": file for i in range(n_clients)}
    return local.find_counting(read(folder / "input.xml"), names)


def test_only_a_client_that_alone_gets_whole_steps_and_has_a_use_for_them_counts(tmp_path):
    assert counting(tmp_path, CLIENT + EVERY, batch_size=4, n_clients=1) == {"client-0"}
    assert counting(tmp_path, CLIENT, batch_size=4, n_clients=1) == frozenset()
    assert counting(tmp_path, CLIENT + EVERY, batch_size=2, n_clients=1) == frozenset()
    assert counting(tmp_path, CLIENT + EVERY, batch_size=4, n_clients=2) == frozenset()


def attempt(folder: Path, forcefield: str, n_clients: int) -> None:
    (folder / "input.xml").write_text(f"<simulation>{forcefield}</simulation>")
    (folder / "client.toml").write_text(CLIENT)
    clients = [ClientFile(folder / "client.toml", client_file.load(folder / "client.toml"))]
    local.run(read(folder / "input.xml"), clients, n_clients, lambda status: None)


def test_a_socket_that_nobody_serves_is_refused_before_anything_starts(tmp_path):
    socket = "<ffsocket name='a' mode='unix'><address> other </address></ffsocket>"
    with pytest.raises(LaunchError, match="nobody would serve <ffsocket name='a'>"):
        attempt(tmp_path, socket, 1)
    assert not (tmp_path / "i-pi.log").exists()


def test_no_client_at_all_is_refused_where_there_is_a_socket(tmp_path):
    socket = "<ffsocket name='a' mode='unix'><address> tiny </address></ffsocket>"
    with pytest.raises(LaunchError, match="-n 1 or more"):
        attempt(tmp_path, socket, 0)


def test_an_mpi_job_is_refused_with_the_command_that_starts_it(tmp_path):
    with pytest.raises(LaunchError, match=r"mpirun -n 1 i-pi input\.xml"):
        attempt(tmp_path, "<ffmpi name='a'/>", 1)


def test_an_installation_without_ipi_is_an_error(monkeypatch, tmp_path):
    monkeypatch.setattr(local.sys, "executable", str(tmp_path / "python"))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(LaunchError, match="pip install ipi"):
        local.find_ipi()


def test_ipi_is_found_beside_the_running_python():
    assert Path(local.find_ipi()).name == "i-pi"


def test_an_exit_file_that_was_left_is_refused(tmp_path):
    (tmp_path / "EXIT").touch()
    with pytest.raises(LaunchError, match="EXIT would stop i-PI at once"):
        attempt(tmp_path, "<ffsocket name='a' mode='unix'><address> tiny </address></ffsocket>", 1)
