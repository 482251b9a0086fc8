"""``mlobs client``: exit status and the one line that says what is wrong."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

CLIENT = """
structure = "init.xyz"
[socket]
mode = "inet"
address = "127.0.0.1"
port = {port}
patience = 0.3
[potential]
kind = "toy"
name = "qtip4pf"
"""
WATER = "3\nwater\nO 0 0 0\nH 0.757 0.586 0\nH -0.757 0.586 0\n"


@pytest.fixture
def port() -> Iterator[int]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        yield int(probe.getsockname()[1])


def start(folder: Path, text: str, *options: str) -> subprocess.Popen[str]:
    (folder / "init.xyz").write_text(WATER)
    (folder / "client.toml").write_text(text)
    command = [sys.executable, "-m", "mlobs_client", "client", "client.toml", *options]
    return subprocess.Popen(
        command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def test_a_server_that_never_comes_is_one_line_and_status_one(tmp_path: Path, port: int) -> None:
    process = start(tmp_path, CLIENT.format(port=port))
    _, said = process.communicate(timeout=60)
    assert process.returncode == 1
    assert len(said.splitlines()) == 1
    assert said.startswith("mlobs: error: ")
    assert str(port) in said


def test_a_mistake_in_the_client_file_is_one_line_and_status_one(tmp_path: Path) -> None:
    process = start(tmp_path, CLIENT.format(port=1).replace("qtip4pf", "tip9p"))
    _, said = process.communicate(timeout=60)
    assert process.returncode == 1
    assert said.splitlines() == [
        line for line in said.splitlines() if line.startswith("mlobs: error: there is no toy")
    ]


def test_an_unknown_option_is_status_two(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "mlobs_client", "client", "--colour", "client.toml"]
    assert subprocess.run(command, cwd=tmp_path, capture_output=True).returncode == 2


def test_sigterm_ends_a_waiting_client_with_status_143(tmp_path: Path, port: int) -> None:
    process = start(tmp_path, CLIENT.format(port=port).replace("0.3", "600"), "-v")
    assert process.stderr is not None
    assert any("waiting up to 600 s" in line for line in process.stderr)
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=60)
    assert process.returncode == 128 + signal.SIGTERM
