"""The file that says where the relay of a run is, and the first lines between it and a client."""

from __future__ import annotations

import socket
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from mlobs_client.errors import RemoteProtocolError, TransportError
from mlobs_client.wire.rendezvous import MAX_LINE, NOT_YET, Rendezvous, receive_line
from mlobs_client.wire.transport import RelayedAddress, connect

RUN = Rendezvous.invent("first", "127.0.0.1", 31415)


def admit(said: bytes) -> str:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        theirs.sendall(said)
        theirs.shutdown(socket.SHUT_WR)
        return RUN.admit(ours, 5.0)


def greet(rendezvous: Rendezvous, answer: bytes) -> None:
    """Say what is asked for to a relay that answers so."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        theirs.sendall(b"a challenge\n" + answer)
        rendezvous.greet(ours, "water")


def meet(client: Rendezvous) -> str:
    """What the relay of the run hears from this client."""
    ours, theirs = socket.socketpair()
    with ours, theirs, ThreadPoolExecutor() as threads:
        threads.submit(client.greet, theirs, "water")
        try:
            return RUN.admit(ours, 5.0)
        finally:
            ours.sendall(b"welcome\n")


def test_what_is_written_is_read_and_only_its_owner_can(tmp_path: Path) -> None:
    path = tmp_path / "run.json"
    RUN.write(path)
    assert Rendezvous.read(path) == RUN
    assert path.stat().st_mode & 0o777 == 0o600
    assert list(tmp_path.iterdir()) == [path]


def test_the_file_of_another_run_is_not_ours(tmp_path: Path) -> None:
    path = tmp_path / "run.json"
    RUN.write(path)
    with pytest.raises(
        FileNotFoundError, match="belongs to the run first, not to this one, second"
    ):
        Rendezvous.read(path, "second")


PORT = '{"run": "a", "host": "b", "password": "c", "port": %s}'


@pytest.mark.parametrize(
    "text",
    ["", "{}", "[1]", '{"run": 1, "other": 2}', "\x00", PORT % '"x"', PORT % 80000, PORT % "null"],
)
def test_a_file_that_is_something_else_is_named(tmp_path: Path, text: str) -> None:
    (tmp_path / "run.json").write_text(text)
    with pytest.raises(RemoteProtocolError, match="was not written by 'mlobs run --listen'"):
        Rendezvous.read(tmp_path / "run.json")


def test_a_run_removes_its_own_file_only(tmp_path: Path) -> None:
    path = tmp_path / "run.json"
    other = Rendezvous.invent("second", "127.0.0.1", 1)
    other.write(path)
    RUN.remove(path)
    assert path.exists()
    other.remove(path)
    assert not path.exists()
    other.remove(path)
    path.write_text("cut")
    other.remove(path)
    assert path.read_text() == "cut"


def test_two_runs_never_have_the_same_password() -> None:
    assert Rendezvous.invent("a", "h", 1).password != Rendezvous.invent("a", "h", 1).password


def test_a_greeting_is_admitted_with_the_address_that_it_names() -> None:
    assert meet(RUN) == "water"


def test_a_wrong_password_and_another_run_are_not_admitted() -> None:
    with pytest.raises(RemoteProtocolError, match="the password is wrong"):
        meet(replace(RUN, password="guess"))
    with pytest.raises(RemoteProtocolError, match="this is the run first"):
        meet(replace(RUN, run="second"))


@pytest.mark.parametrize("said", [b"STATUS      \n", b"[]\n", b"[1,2,3,4]\n", b"\xff\n", b"7\n"])
def test_what_is_no_greeting_is_not_admitted(said: bytes) -> None:
    with pytest.raises(RemoteProtocolError, match=r"not that of|not UTF-8"):
        admit(said)


def test_who_says_a_greeting_letter_by_letter_is_not_waited_for() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs, ThreadPoolExecutor() as threads:
        admitting = threads.submit(RUN.admit, ours, 0.3)
        while not admitting.done():
            theirs.sendall(b"x")
            time.sleep(0.05)
        with pytest.raises(TimeoutError):
            admitting.result()


def test_a_greeting_without_end_is_cut_off() -> None:
    with pytest.raises(RemoteProtocolError, match="a line has more than 4096 bytes"):
        admit(b"x" * (MAX_LINE + 1))


def test_who_is_not_let_in_says_why() -> None:
    with pytest.raises(RemoteProtocolError, match="refuses this client: no room"):
        greet(RUN, b"no room\n")
    with pytest.raises(ConnectionRefusedError, match=NOT_YET):
        greet(RUN, NOT_YET.encode() + b"\n")


def test_nothing_behind_the_line_is_read() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        theirs.sendall(b"welcome\nSTATUS")
        assert receive_line(ours, 5.0) == "welcome"
        assert ours.recv(6) == b"STATUS"


def test_a_client_waits_for_the_file_of_its_run_and_says_whose_it_found(tmp_path: Path) -> None:
    path = tmp_path / "run.json"
    address = RelayedAddress("water", path, run="second")
    with pytest.raises(TransportError, match="No such file"):
        connect(address, 0.1)
    RUN.write(path)
    with pytest.raises(TransportError, match="belongs to the run first, not to this one, second"):
        connect(address, 0.1)


def test_a_client_that_is_let_in_hears_all_that_follows(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as door, ThreadPoolExecutor() as threads:
        rendezvous = Rendezvous.invent("first", *door.getsockname())
        rendezvous.write(tmp_path / "run.json")
        connecting = threads.submit(connect, RelayedAddress("water", tmp_path / "run.json"), 5.0)
        relay, _ = door.accept()
        with relay:
            assert rendezvous.admit(relay, 5.0) == "water"
            relay.sendall(b"welcome\nSTATUS      ")
            with connecting.result(5.0) as transport:
                assert transport.receive() == b"STATUS      "
                relay.shutdown(socket.SHUT_WR)
