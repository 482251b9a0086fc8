from __future__ import annotations

import os
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from mlobs_client.errors import RemoteProtocolError, ServerGone, TransportError
from mlobs_client.testing.server import ScriptedServer, accept, listen, posdata
from mlobs_client.wire.client import run_client
from mlobs_client.wire.protocol import GETFORCE, Reply
from mlobs_client.wire.transport import UnixAddress


@pytest.fixture
def address(tmp_path):
    return UnixAddress(str(tmp_path / "server"))


@pytest.fixture
def play(address):
    """Run a function of the server's stream in another thread; signals need the main one."""
    with listen(address) as listener, ThreadPoolExecutor() as threads:

        def start(script):
            def run():
                stream = accept(listener)
                try:
                    return script(stream)
                finally:
                    stream.close()

            return threads.submit(run)

        yield start


def terminate():
    os.kill(os.getpid(), signal.SIGTERM)


def test_a_client_serves_until_exit(address, play, recorder, make_structures):
    cells, positions = make_structures(5)

    def script(stream):
        server = ScriptedServer(stream, batch_size=2)
        results = server.evaluate(cells, positions)
        server.exit()
        return results

    results = play(script)
    assert run_client(address, 5.0, recorder) is None
    assert [result.energy for result in results.result()] == [q.sum() for q in positions]


def test_several_clients_share_one_server(address, recorder, make_structures):
    cells, positions = make_structures(3)
    with listen(address) as listener, ThreadPoolExecutor() as threads:
        clients = [threads.submit(run_client, address, 5.0, recorder) for _ in range(3)]
        servers = [ScriptedServer(accept(listener)) for _ in range(3)]
        for i, server in enumerate(servers):
            (result,) = server.evaluate(cells[i : i + 1], positions[i : i + 1])
            assert result.energy == positions[i].sum()
        for server in servers:
            server.exit()
        assert [client.result(5.0) for client in clients] == [None, None, None]
        for server in servers:
            server.stream.close()


def test_waiting_costs_no_processor_time_and_a_vanished_server_ends_it(address, play, recorder):
    def script(stream):
        ScriptedServer(stream).prepare()
        before = time.process_time()
        time.sleep(0.6)
        return time.process_time() - before, time.monotonic()

    played = play(script)
    with pytest.raises(ServerGone, match="without EXIT"):
        run_client(address, 5.0, recorder)
    used, closed = played.result()
    assert used < 0.1  # spinning would use all of the 0.6 s
    assert time.monotonic() - closed < 2.0


def test_a_server_that_vanishes_during_an_evaluation_ends_the_client(
    address, play, recorder, make_structures
):
    cells, positions = make_structures(1)
    closed = threading.Event()

    def script(stream):
        server = ScriptedServer(stream)
        server.prepare()
        stream.send(posdata(cells, positions) + GETFORCE)
        stream.close()
        closed.set()

    def answer(request):
        closed.wait(5.0)
        return recorder(request)

    play(script)
    with pytest.raises(ServerGone):
        run_client(address, 5.0, answer)


def test_a_server_that_is_no_ipi_is_named(address, play, recorder):
    play(lambda stream: stream.send(b"SSH-2.0-OpenSSH_9.6\r\n"))
    with pytest.raises(RemoteProtocolError, match="SSH-2"):
        run_client(address, 5.0, recorder)


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_an_idle_client(address, play, recorder, signum):
    before = signal.getsignal(signum)

    def script(stream):
        ScriptedServer(stream).prepare()
        os.kill(os.getpid(), signum)
        time.sleep(0.2)

    play(script)
    assert run_client(address, 5.0, recorder) is signum
    assert signal.getsignal(signum) is before


def test_a_signal_ends_the_waiting_for_a_server(tmp_path, recorder):
    threading.Timer(0.2, terminate).start()
    assert run_client(UnixAddress(str(tmp_path / "nobody")), 3600.0, recorder) is signal.SIGTERM


@pytest.mark.parametrize("consolidated", [True, False])
def test_results_that_are_being_computed_at_a_signal_are_delivered(
    address, play, recorder, make_structures, consolidated
):
    cells, positions = make_structures(1)

    def script(stream):
        return ScriptedServer(stream, consolidated=consolidated).evaluate(cells, positions)

    def answer(request):
        terminate()
        return recorder(request)

    results = play(script)
    assert run_client(address, 5.0, answer) is signal.SIGTERM
    np.testing.assert_array_equal(results.result()[0].forces, positions[0] @ cells[0])


def test_a_second_signal_meets_the_handler_from_before(address, play, recorder, make_structures):
    before = signal.getsignal(signal.SIGINT)
    seen = []

    def answer(request):
        os.kill(os.getpid(), signal.SIGTERM)
        seen.append(signal.getsignal(signal.SIGINT))
        return recorder(request)

    play(lambda stream: ScriptedServer(stream).evaluate(*make_structures(1)))
    run_client(address, 5.0, answer)
    assert seen == [before]


def test_an_error_of_the_evaluation_closes_the_connection(address, play, make_structures):
    def answer(request):
        raise ZeroDivisionError

    played = play(lambda stream: ScriptedServer(stream).evaluate(*make_structures(1)))
    with pytest.raises(ZeroDivisionError):
        run_client(address, 5.0, answer)
    assert isinstance(played.exception(), RemoteProtocolError)


def test_a_client_without_a_server_says_so(tmp_path, recorder):
    with pytest.raises(TransportError, match="is i-PI running"):
        run_client(UnixAddress(str(tmp_path / "nobody")), 0.1, recorder)


def test_the_first_signal_ends_a_client_whose_server_does_not_read_its_results(
    address, play, make_structures, monkeypatch
):
    monkeypatch.setattr("mlobs_client.wire.transport.CLOSING_TIMEOUT", 0.2)
    cells, positions = make_structures(1)
    ended = threading.Event()

    def script(stream):
        ScriptedServer(stream).prepare()
        stream.send(posdata(cells, positions) + GETFORCE)
        time.sleep(0.2)  # the client sends
        terminate()
        return ended.wait(5.0)

    def answer(request):
        # sockets hold some 200 kB
        return [Reply(0.0, np.zeros((3, 3)), np.zeros((3, 3)), extras=bytes(10_000_000))]

    played = play(script)
    assert run_client(address, 5.0, answer) is signal.SIGTERM
    ended.set()
    assert played.result() is True  # the client has not waited for the end of its server
