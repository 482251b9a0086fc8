"""The relay between clients on other machines and the unix sockets of i-PI, over real sockets."""

from __future__ import annotations

import json
import socket
import struct
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from mlobs_client.errors import LaunchError, RemoteProtocolError, TransportError
from mlobs_client.launch.relay import FILE, MAX_UNAUTHENTICATED, Relay, opened
from mlobs_client.wire.rendezvous import receive_line
from mlobs_client.wire.transport import RelayedAddress, Transport, connect


@pytest.fixture
def server(tmp_path: Path) -> Iterator[socket.socket]:
    """Listens where i-PI would."""
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "water"))
        listener.listen()
        listener.settimeout(5.0)
        yield listener


@pytest.fixture
def relay(tmp_path: Path) -> Iterator[Relay]:
    with opened(Relay("127.0.0.1", ["water"], f"{tmp_path}/"), tmp_path) as relay:
        yield relay


def join(relay: Relay, folder: Path, server: socket.socket) -> tuple[Transport, socket.socket]:
    transport = connect(RelayedAddress("water", folder / FILE, relay.rendezvous.run), 5.0)
    other, _ = server.accept()
    other.settimeout(5.0)
    return transport, other


def test_bytes_go_both_ways_in_any_amount(relay: Relay, tmp_path: Path, server) -> None:
    transport, ipi = join(relay, tmp_path, server)
    data = bytes(range(256)) * 8_000
    with transport, ipi:
        ipi.sendall(b"STATUS      ")
        assert transport.receive() == b"STATUS      "
        transport.send(data[:1])
        transport.send(data[1:])
        got = bytearray()
        while len(got) < len(data):
            got += ipi.recv(1 << 16)
        assert bytes(got) == data
        ipi.shutdown(socket.SHUT_WR)
        assert transport.receive() == b""


def test_a_client_that_resets_its_connection_ends_that_with_ipi_politely(
    relay: Relay, tmp_path: Path, server
) -> None:
    transport, ipi = join(relay, tmp_path, server)
    with ipi:
        ipi.sendall(b"POSDATA that nobody reads")
        time.sleep(0.1)
        reset(transport)
        assert ipi.recv(1) == b""  # not ECONNRESET
        ipi.sendall(b"more")


def reset(transport: Transport) -> None:
    stream = transport._stream
    stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport._readable.close()
    transport._writable.close()
    stream.close()


def test_dropped_clients_notice_it_and_so_does_ipi(relay: Relay, tmp_path: Path, server) -> None:
    transport, ipi = join(relay, tmp_path, server)
    with transport, ipi:
        relay.drop_all()
        assert transport.receive() == b""
        assert ipi.recv(1) == b""


def test_who_does_not_know_the_password_never_reaches_ipi(
    relay: Relay, tmp_path: Path, server, caplog: pytest.LogCaptureFixture
) -> None:
    other = tmp_path / "guess.json"
    guess = json.loads((tmp_path / FILE).read_text())
    guess["password"] = "0" * 64
    other.write_text(json.dumps(guess))
    with pytest.raises(RemoteProtocolError, match="the password is wrong"):
        connect(RelayedAddress("water", other), 5.0)
    server.settimeout(0.2)
    with pytest.raises(TimeoutError):
        server.accept()
    assert "a client at 127.0.0.1 was refused: the password is wrong" in caplog.text


def overhear(relay: Relay, folder: Path) -> tuple[str, str, str]:
    """Stand between a client and the relay, and write down all three lines."""
    rendezvous = relay.rendezvous
    with (
        socket.create_server(("127.0.0.1", 0)) as door,
        socket.create_connection((rendezvous.host, rendezvous.port)) as there,
        ThreadPoolExecutor() as threads,
    ):
        replace(rendezvous, port=door.getsockname()[1]).write(folder / "between.json")
        client = threads.submit(connect, RelayedAddress("water", folder / "between.json"), 5.0)
        here, _ = door.accept()
        with here:
            lines = []
            for source, target in ((there, here), (here, there), (there, here)):
                lines.append(receive_line(source, 5.0))
                target.sendall(lines[-1].encode() + b"\n")
            client.result(5.0).close()
    challenge, answer, welcome = lines
    return challenge, answer, welcome


def test_the_password_is_not_in_what_goes_over_the_network(
    relay: Relay, tmp_path: Path, server
) -> None:
    first, second = overhear(relay, tmp_path), overhear(relay, tmp_path)
    assert first[2] == second[2] == "welcome"
    assert len({*first[:2], *second[:2]}) == 4  # nothing is said twice
    for line in (*first, *second):
        assert relay.rendezvous.password not in line
    assert json.loads(first[1])[:2] == [relay.rendezvous.run, "water"]


def test_an_answer_that_was_overheard_opens_nothing(relay: Relay, tmp_path: Path, server) -> None:
    _, answer, welcome = overhear(relay, tmp_path)
    assert welcome == "welcome"
    other = json.loads(answer)
    other[1] = "steam"  # of the same challenge, for another socket
    for said in (answer, json.dumps(other), json.dumps([*other[:2], ""])):
        with socket.create_connection((relay.rendezvous.host, relay.rendezvous.port)) as stream:
            receive_line(stream, 5.0)
            stream.sendall(said.encode() + b"\n")
            assert receive_line(stream, 5.0) == "the password is wrong"


def test_a_socket_that_is_none_of_the_run_is_not_opened(relay: Relay, tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as private:
        private.bind(str(tmp_path / "private"))
        private.listen()
        with pytest.raises(RemoteProtocolError, match=r"no <ffsocket> .* <address> 'private'"):
            connect(RelayedAddress("private", tmp_path / FILE), 5.0)
        private.settimeout(0.2)
        with pytest.raises(TimeoutError):
            private.accept()


def test_many_strangers_shut_nobody_out_for_good(relay: Relay, tmp_path: Path, server) -> None:
    place = (relay.rendezvous.host, relay.rendezvous.port)
    strangers = [socket.create_connection(place) for _ in range(3 * MAX_UNAUTHENTICATED)]
    with pytest.raises(TransportError):
        connect(RelayedAddress("water", tmp_path / FILE), 0.3)
    for stranger in strangers:
        stranger.close()
    transport, ipi = join(relay, tmp_path, server)
    with transport, ipi:
        ipi.sendall(b"STATUS      ")
        assert transport.receive() == b"STATUS      "


def test_a_client_waits_until_ipi_listens(relay: Relay, tmp_path: Path) -> None:
    with pytest.raises(TransportError, match="i-PI does not listen yet"):
        connect(RelayedAddress("water", tmp_path / FILE), 0.3)


def test_a_closed_relay_lets_nobody_in_and_leaves_no_file(tmp_path: Path) -> None:
    with opened(Relay("127.0.0.1", ["water"], f"{tmp_path}/"), tmp_path) as relay:
        port = relay.rendezvous.port
        assert (tmp_path / FILE).exists()
    assert not (tmp_path / FILE).exists()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port), 1.0)


def test_an_address_of_another_machine_is_refused() -> None:
    with pytest.raises(LaunchError, match=r"--listen 192\.0\.2\.1: cannot listen there"):
        Relay("192.0.2.1", ["water"], "/tmp/")


@pytest.mark.parametrize("host", ["0.0.0.0", ""])
def test_all_networks_at_once_are_refused(host: str) -> None:
    with pytest.raises(LaunchError, match="all networks of this machine"):
        Relay(host, ["water"], "/tmp/")
