from __future__ import annotations

import signal
import socket
import threading
import time

import pytest

from mlobs_client.errors import RemoteProtocolError, TransportError
from mlobs_client.testing.server import accept, listen
from mlobs_client.wire.stop import Stop, StopRequested
from mlobs_client.wire.transport import TcpAddress, UnixAddress, connect


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture(params=["unix", "tcp"])
def address(request, tmp_path):
    if request.param == "unix":
        return UnixAddress(str(tmp_path / "server"))
    return TcpAddress("127.0.0.1", free_port())


def test_a_name_gets_the_prefix_of_ipi_and_a_path_does_not():
    assert UnixAddress("water").path == "/tmp/ipi_water"
    assert UnixAddress("water", prefix="/scratch/me_").path == "/scratch/me_water"
    assert UnixAddress("./here/water").path == "./here/water"


def test_bytes_go_both_ways_and_an_end_is_no_bytes(address):
    with listen(address) as listener, connect(address, 1.0) as transport:
        server = accept(listener)
        transport.send(b"ping")
        assert server.receive(4) == b"ping"
        server.send(b"pong")
        assert transport.receive() == b"pong"
        server.close()
        assert transport.receive() == b""


def test_what_the_server_said_last_is_read_even_if_it_did_not_wait(address):
    with listen(address) as listener, connect(address, 1.0) as transport:
        server = accept(listener)
        server.send(b"EXIT")
        server.close()
        time.sleep(0.05)
        transport.send(b"an answer that nobody reads")
        assert transport.receive() == b"EXIT"


def test_a_client_that_leaves_with_unread_bytes_resets_nothing(address):
    # i-PI 3.3.1 waits for ever after a reset connection
    with listen(address) as listener:
        transport = connect(address, 1.0)
        server = accept(listener)
        server.send(b"POSDATA that nobody reads")
        leaving = threading.Thread(target=transport.close)
        leaving.start()
        with pytest.raises(RemoteProtocolError, match="the client closed the connection after b''"):
            server.receive(1)
        server.close()
        leaving.join(5.0)
        assert not leaving.is_alive()


def test_more_than_the_buffers_of_the_system_is_sent_whole(address):
    data = bytes(range(256)) * 40_000  # 10 MB, sockets hold some 200 kB
    got = bytearray()
    with listen(address) as listener, connect(address, 1.0) as transport:
        server = accept(listener)
        reader = threading.Thread(target=lambda: got.extend(server.receive(len(data))))
        reader.start()
        transport.send(data)
        reader.join()
        server.close()
    assert bytes(got) == data


def test_a_server_that_comes_late_is_waited_for(address):
    transports = []
    client = threading.Thread(target=lambda: transports.append(connect(address, 10.0)))
    client.start()
    time.sleep(0.3)
    with listen(address) as listener:
        accept(listener).close()
        client.join()
    transports[0].close()


def test_patience_ends_with_one_line_that_says_what_to_check(address):
    started = time.monotonic()
    with pytest.raises(TransportError) as caught:
        connect(address, 0.3)
    assert 0.3 <= time.monotonic() - started < 1.0  # the patience, and one more attempt
    message = str(caught.value)
    assert "\n" not in message
    for word in (str(address), "0.3 s", "mode, address and port", "is i-PI running?"):
        assert word in message
    assert ("/tmp/ipi_" in message) == isinstance(address, UnixAddress)


@pytest.mark.parametrize(
    ("address", "pattern"),
    [
        (TcpAddress("no-such-host.invalid", 31415), "host name is unknown"),
        (UnixAddress("x" * 200), "too long"),
    ],
)
def test_an_address_that_can_never_work_is_said_at_once(address, pattern):
    with pytest.raises(TransportError, match=pattern):
        connect(address, 3600.0)


def test_a_port_that_nobody_serves_is_never_connected_to_itself():
    # A client that binds no port may get, as its own, the port that it tries to reach. Forced here.
    port = free_port()

    class Bound(socket.socket):
        def connect(self, target):
            self.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            self.bind(("127.0.0.1", port))
            super().connect(target)

    original, socket.socket = socket.socket, Bound
    try:
        with pytest.raises(TransportError, match="connected to itself"):
            connect(TcpAddress("127.0.0.1", port), 0.0)
    finally:
        socket.socket = original


def test_a_stop_ends_the_waiting_for_a_server(tmp_path):
    stop = Stop()
    threading.Timer(0.1, stop.request).start()
    started = time.monotonic()
    with pytest.raises(StopRequested):
        connect(UnixAddress(str(tmp_path / "nobody")), 3600.0, stop)
    assert time.monotonic() - started < 2.0
    assert stop.signal is signal.SIGTERM
    stop.close()


def test_a_stop_ends_the_waiting_for_bytes_but_not_for_those_that_we_owe(address):
    stop = Stop()
    with listen(address) as listener, connect(address, 1.0, stop) as transport:
        server = accept(listener)
        stop.request()
        server.send(b"GETFORCE")
        with pytest.raises(StopRequested):
            transport.receive()
        assert transport.receive(interruptible=False) == b"GETFORCE"
        server.close()
    stop.close()


@pytest.fixture
def short_farewell(monkeypatch):
    monkeypatch.setattr("mlobs_client.wire.transport.CLOSING_TIMEOUT", 0.2)


def test_a_stop_ends_the_sending_to_a_server_that_reads_nothing(address, short_farewell):
    stop = Stop()
    with listen(address) as listener, connect(address, 1.0, stop) as transport:
        server = accept(listener)
        threading.Timer(0.1, stop.request).start()
        with pytest.raises(StopRequested):
            transport.send(bytes(10_000_000))  # sockets hold some 200 kB
        server.close()
    stop.close()


def test_what_we_owe_is_sent_after_a_stop_to_a_server_that_reads_slowly(address):
    stop = Stop()
    stop.request()
    data = bytes(range(256)) * 4_000  # 1 MB
    got = bytearray()

    def read(server):
        while len(got) < len(data):
            time.sleep(0.01)
            got.extend(server.receive(min(64_000, len(data) - len(got))))

    with listen(address) as listener, connect(address, 1.0, stop) as transport:
        server = accept(listener)
        reader = threading.Thread(target=read, args=(server,))
        reader.start()
        transport.send(data)
        reader.join()
        server.close()
    stop.close()
    assert bytes(got) == data


def test_a_stop_ends_the_waiting_for_a_server_that_does_not_fetch_what_we_owe(
    address, short_farewell
):
    stop = Stop()
    with listen(address) as listener, connect(address, 1.0, stop) as transport:
        server = accept(listener)
        threading.Timer(0.1, stop.request).start()
        with pytest.raises(StopRequested):
            transport.receive(interruptible=False)
        server.close()
    stop.close()
