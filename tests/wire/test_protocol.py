from __future__ import annotations

import itertools
import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlobs_client.errors import LocalProtocolError, RemoteProtocolError, ServerGone
from mlobs_client.testing.server import MemoryClient, ScriptedServer, init, posdata
from mlobs_client.wire.protocol import (
    EXIT,
    GETFORCE,
    INIT,
    POSDATA,
    READY,
    SERVER_MESSAGES,
    STATUS,
    TRANSITIONS,
    Connection,
    Evaluate,
    Exit,
    Need,
    Reply,
    State,
)

CELLS = 10.0 * np.eye(3) + np.random.default_rng(1).normal(size=(5, 3, 3))
POSITIONS = np.random.default_rng(2).normal(size=(5, 4, 3))


def answer(request: Evaluate) -> list[Reply]:
    return [
        Reply(q.sum(), q @ cell, cell * q[0, 0], f"{q[0, 0]!r}é".encode())
        for cell, q in zip(request.cells, request.positions, strict=True)
    ]


def in_state(state: State) -> Connection:
    connection = Connection()
    if state is State.CONNECTED:
        return connection
    connection.receive_data(init(0))
    connection.next_event()
    if state is State.HAS_RESULTS:
        connection.receive_data(posdata(CELLS[:1], POSITIONS[:1]))
        request = connection.next_event()
        assert isinstance(request, Evaluate)
        connection.send_results(answer(request))
    assert connection.state is state
    return connection


LISTENING = (State.CONNECTED, State.IDLE, State.HAS_RESULTS)
ABSENT = sorted(
    set(itertools.product(LISTENING, SERVER_MESSAGES)) - set(TRANSITIONS),
    key=lambda pair: str(pair),
)


@pytest.mark.parametrize(("state", "message"), ABSENT)
def test_a_message_that_the_table_lacks_is_an_error(state, message):
    connection = in_state(state)
    connection.receive_data(message + bytes(200))
    with pytest.raises(
        RemoteProtocolError, match=f"{message.decode().strip()} in state {state.name}"
    ):
        connection.next_event()


@pytest.mark.parametrize(
    ("state", "word"),
    [(State.CONNECTED, "NEEDINIT"), (State.IDLE, "READY"), (State.HAS_RESULTS, "HAVEDATA")],
)
def test_status_is_answered_in_twelve_bytes(state, word):
    connection = in_state(state)
    connection.receive_data(STATUS)
    assert connection.next_event() is Need.DATA
    assert connection.data_to_send() == word.ljust(12).encode()
    assert connection.data_to_send() == b""


@given(
    cuts=st.lists(st.integers(1, 400), max_size=60),
    batch=st.integers(1, 6),
    consolidated=st.booleans(),
)
def test_any_way_of_cutting_the_stream_gives_the_same_conversation(cuts, batch, consolidated):
    options = {"batch_size": batch, "parameters": "a : b", "consolidated": consolidated}
    client = MemoryClient(answer, cuts)
    server = ScriptedServer(client, **options)
    got = server.evaluate(CELLS, POSITIONS)
    server.exit()
    wanted = answer(Evaluate(CELLS, POSITIONS, 0, ""))
    for ours, theirs in zip(got, wanted, strict=True):
        assert ours.energy == theirs.energy
        np.testing.assert_array_equal(ours.forces, theirs.forces)
        np.testing.assert_array_equal(ours.virial, theirs.virial)
        assert ours.extras == theirs.extras
    assert client.ended


def test_one_byte_at_a_time_is_enough():
    stream = init(7, "k : v") + posdata(CELLS[:1], POSITIONS[:1]) + GETFORCE + STATUS + EXIT
    connection, events = Connection(), []
    for byte in stream:
        connection.receive_data(bytes([byte]))
        while (event := connection.next_event()) is not Need.DATA:
            events.append(event)
            if isinstance(event, Exit):
                break
            connection.send_results(answer(event))
    assert [type(event) for event in events] == [Evaluate, Exit]
    assert connection.data_to_send().endswith(READY)


@pytest.mark.parametrize("batch", [1, 3])
def test_columns_of_the_wire_become_rows(batch):
    # written by hand, as i-PI does: h has the lattice vectors a, b, c as columns
    a, b, c = [10.0, 0.0, 0.0], [1.0, 11.0, 0.0], [2.0, 3.0, 12.0]
    h = struct.pack("=9d", *(x for column in zip(a, b, c, strict=True) for x in column))
    count, q = struct.pack("=i", 2), np.arange(6.0 * batch).tobytes()
    cells = (h + bytes(72)) * batch
    connection = Connection()
    connection.receive_data(init(0, "", batch) + POSDATA)
    connection.receive_data((cells + count if batch == 1 else count + cells) + q)
    request = connection.next_event()
    np.testing.assert_array_equal(request.cells, [[a, b, c]] * batch)
    np.testing.assert_array_equal(request.positions.ravel(), np.arange(6.0 * batch))


def test_the_virial_leaves_transposed_because_strain_acts_on_columns_there():
    connection = in_state(State.IDLE)
    connection.receive_data(posdata(CELLS[:1], POSITIONS[:1]) + GETFORCE)
    connection.next_event()
    virial = np.arange(9.0).reshape(3, 3)
    connection.send_results([Reply(0.5, POSITIONS[0], virial)])
    connection.next_event()
    data = connection.data_to_send()
    sent = struct.unpack("=9d", data[-76:-4])
    assert sent == (0, 3, 6, 1, 4, 7, 2, 5, 8)


def test_padding_is_neither_evaluated_nor_lost_for_the_server(recorder, make_structures):
    cells, positions = make_structures(4)
    results = ScriptedServer(MemoryClient(recorder), batch_size=3).evaluate(cells, positions)
    assert [len(request.positions) for request in recorder.asked] == [3, 1]
    assert [result.energy for result in results] == [q.sum() for q in positions]


def test_equal_structures_before_the_end_are_kept(recorder, make_structures):
    cells, positions = make_structures(3)
    positions[1], cells[1] = positions[0], cells[0]
    ScriptedServer(MemoryClient(recorder), batch_size=3).evaluate(cells, positions)
    np.testing.assert_array_equal(recorder.asked[0].positions, positions)


def test_equal_positions_in_another_cell_are_no_padding(recorder, make_structures):
    cells, positions = make_structures(2)
    positions[1] = positions[0]
    ScriptedServer(MemoryClient(recorder), batch_size=2).evaluate(cells, positions)
    assert len(recorder.asked[0].cells) == 2


def test_beads_that_start_at_one_point_are_evaluated_once(recorder, make_structures):
    cells, positions = make_structures(1)
    both = [np.repeat(array, 4, axis=0) for array in (cells, positions)]
    results = ScriptedServer(MemoryClient(recorder), batch_size=4).evaluate(*both)
    assert len(recorder.asked[0].cells) == 1
    assert [result.energy for result in results] == [positions.sum()] * 4


def test_the_evaluation_knows_what_init_said(recorder, make_structures):
    server = ScriptedServer(MemoryClient(recorder), parameters="model : x", request_id=5)
    server.evaluate(*make_structures(1))
    assert (recorder.asked[0].request_id, recorder.asked[0].init_text) == (5, "model : x")


def test_arrays_of_a_request_are_aligned_and_writable():
    connection = in_state(State.IDLE)
    connection.receive_data(posdata(CELLS[:1], POSITIONS[:1]))
    request = connection.next_event()
    for array in (request.cells, request.positions):
        assert array.flags.aligned
        assert array.flags.writeable
        assert array.flags.c_contiguous


MALFORMED = {
    "unknown header": (b"HTTP/1.1 400", "unknown header b'HTTP/1.1 400'"),
    "no atoms": (POSDATA + bytes(144) + struct.pack("=i", 0), "0 atoms"),
    "negative atoms": (POSDATA + bytes(144) + struct.pack("=i", -3), "-3 atoms"),
    "absurd atoms": (POSDATA + bytes(144) + struct.pack("=i", 2**31 - 1), "2147483647 atoms"),
    "negative text": (INIT + struct.pack("=ii", 0, -1), "-1 bytes"),
    "absurd text": (INIT + struct.pack("=ii", 0, 2**30), "1073741824 bytes"),
    "batch of none": (init(0, "batch_size:0"), "batch_size '0'"),
    "batch of thousands of digits": (init(0, f"batch_size:{5000 * '9'}"), "batch_size '9{40}'"),
    "batch of a power": (init(0, "batch_size:²"), "batch_size '²'"),
    "batch of words": (init(0, "batch_size:many"), "batch_size 'many'"),
    "shared memory": (POSDATA + struct.pack("=ii", 3, 13) + b"ipi_shm_1_pos", "mode='unix'"),
    "NaN in the cell": (
        POSDATA + struct.pack("=18d", np.nan, *range(17)) + struct.pack("=i3d", 1, 0, 0, 0),
        r"cell\[0, 0, 0\] = nan",
    ),
}


@pytest.mark.parametrize("name", MALFORMED)
def test_a_malformed_message_is_named(name):
    data, pattern = MALFORMED[name]
    connection = in_state(State.IDLE)
    connection.receive_data(data)
    with pytest.raises(RemoteProtocolError, match=pattern):
        connection.next_event()


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_positions_that_are_not_finite_are_refused_with_their_index(bad):
    positions = POSITIONS[:1].copy()
    positions[0, 2, 1] = bad
    connection = in_state(State.IDLE)
    connection.receive_data(posdata(CELLS[:1], positions))
    with pytest.raises(RemoteProtocolError, match=rf"positions\[0, 2, 1\] = {bad}"):
        connection.next_event()


GOOD = Reply(1.0, POSITIONS[0], np.eye(3))
BAD_REPLIES = {
    "forces of reply 0 must have shape": Reply(1.0, POSITIONS[0].T, np.eye(3)),
    "virial of reply 0 must have shape": Reply(1.0, POSITIONS[0], np.zeros(9)),
    "energy of reply 0 must have shape": Reply(np.zeros(1), POSITIONS[0], np.eye(3)),
    "energy of reply 0 contains nan": Reply(float("nan"), POSITIONS[0], np.eye(3)),
    "forces of reply 0 contains inf": Reply(1.0, np.full((4, 3), np.inf), np.eye(3)),
    "virial of reply 0 contains nan": Reply(1.0, POSITIONS[0], np.full((3, 3), np.nan)),
    "extras of reply 0 must be UTF-8": Reply(1.0, POSITIONS[0], np.eye(3), b"\xff"),
}


@pytest.mark.parametrize("pattern", BAD_REPLIES)
def test_a_reply_is_checked_before_it_leaves(pattern):
    connection = in_state(State.IDLE)
    connection.receive_data(posdata(CELLS[:1], POSITIONS[:1]) + GETFORCE)
    connection.next_event()
    with pytest.raises(LocalProtocolError, match=pattern):
        connection.send_results([BAD_REPLIES[pattern]])
    assert connection.data_to_send() == b""


def test_each_structure_needs_one_reply():
    connection = in_state(State.IDLE)
    connection.receive_data(posdata(CELLS[:1], POSITIONS[:1]))
    connection.next_event()
    with pytest.raises(LocalProtocolError, match="2 replies were given for 1"):
        connection.send_results([GOOD, GOOD])


def test_results_that_nobody_asked_for_are_refused():
    with pytest.raises(LocalProtocolError, match="IDLE"):
        in_state(State.IDLE).send_results([GOOD])


def test_an_evaluation_must_be_answered_before_the_conversation_goes_on():
    connection = in_state(State.IDLE)
    connection.receive_data(posdata(CELLS[:1], POSITIONS[:1]))
    connection.next_event()
    with pytest.raises(LocalProtocolError, match="send_results"):
        connection.next_event()


@pytest.mark.parametrize("state", LISTENING)
def test_exit_ends_for_good(state):
    connection = in_state(state)
    connection.receive_data(EXIT + b"whatever comes later")
    assert connection.next_event() == Exit()
    assert connection.next_event() == Exit()


@pytest.mark.parametrize(
    ("before", "pattern"), [(b"", "state CONNECTED"), (INIT[:5], "in the middle of 'INIT'")]
)
def test_an_end_without_exit_is_an_error_that_says_where(before, pattern):
    connection = Connection()
    connection.receive_data(before)
    connection.receive_data(b"")
    with pytest.raises(ServerGone, match=pattern):
        connection.next_event()


def test_exit_just_before_the_end_is_clean():
    connection = Connection()
    connection.receive_data(EXIT)
    connection.receive_data(b"")
    assert connection.next_event() == Exit()
