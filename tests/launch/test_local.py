from pathlib import Path

import pytest

from mlobs_client.client import config as client_file
from mlobs_client.client.service import ClientFile
from mlobs_client.errors import LaunchError
from mlobs_client.ipi.input import read
from mlobs_client.launch import local
from mlobs_client.launch.options import RunOptions

NO_OPTIONS = RunOptions()
CLIENT = """structure = "init.xyz"
[socket]
address = "tiny"
[potential]
kind = "toy"
name = "qtip4pf"
"""


def attempt(
    folder: Path, forcefield: str, n_clients: int, options: RunOptions = NO_OPTIONS
) -> None:
    (folder / "input.xml").write_text(f"<simulation>{forcefield}</simulation>")
    (folder / "client.toml").write_text(CLIENT)
    path = folder / "client.toml"
    clients = [ClientFile(path, client_file.load_config(path), n_clients)]
    local.run(read(folder / "input.xml"), clients, lambda status: None, options)


def test_a_socket_that_nobody_serves_is_refused_before_anything_starts(tmp_path):
    socket = "<ffsocket name='a' mode='unix'><address> other </address></ffsocket>"
    with pytest.raises(LaunchError, match="no client would serve <ffsocket name='a'>"):
        attempt(tmp_path, socket, 1)
    assert not (tmp_path / "i-pi.log").exists()


def test_no_client_at_all_is_refused_where_there_is_a_socket(tmp_path):
    socket = "<ffsocket name='a' mode='unix'><address> tiny </address></ffsocket>"
    with pytest.raises(LaunchError, match="-n 1 or more"):
        attempt(tmp_path, socket, 0)


def test_a_port_of_ipi_itself_is_not_relayed(tmp_path):
    (tmp_path / "init.xyz").touch()
    socket = "<ffsocket name='a' mode='inet'><address> localhost </address></ffsocket>"
    options = RunOptions(others_serve=True, listen="127.0.0.1")
    with pytest.raises(LaunchError, match=r"has mode='inet': .* write mode='unix' in input\.xml"):
        attempt(tmp_path, socket, 0, options)


def test_steps_that_nobody_writes_cannot_be_missed(tmp_path):
    socket = "<ffsocket name='a' mode='unix'><address> tiny </address></ffsocket>"
    with pytest.raises(LaunchError, match=r"--stall 5: .* has no <properties> with 'step'"):
        attempt(tmp_path, socket, 1, RunOptions(stall=5.0))


def test_an_exit_file_that_was_left_is_refused(tmp_path):
    (tmp_path / "EXIT").touch()
    with pytest.raises(LaunchError, match="EXIT would stop i-PI at once"):
        attempt(tmp_path, "<ffsocket name='a' mode='unix'><address> tiny </address></ffsocket>", 1)
