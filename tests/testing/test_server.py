from __future__ import annotations

import numpy as np
import pytest

from mlobs_client.errors import RemoteProtocolError
from mlobs_client.testing.server import MemoryClient, ScriptedServer
from mlobs_client.wire.protocol import Reply

CELLS = np.array([[[9.0, 0.0, 0.0], [1.0, 8.0, 0.0], [2.0, 3.0, 7.0]]])
POSITIONS = np.array([[[0.1, 0.2, 0.3], [0.4, 0.5, 0.6]]])


def test_a_scripted_server_shows_what_a_client_answers():
    virial = np.arange(9.0).reshape(3, 3)
    client = MemoryClient(lambda request: [Reply(-0.5, 2.0 * request.positions[0], virial, b"{}")])
    server = ScriptedServer(client)
    (result,) = server.evaluate(CELLS, POSITIONS)
    assert (result.energy, result.extras) == (-0.5, b"{}")
    np.testing.assert_array_equal(result.forces, 2.0 * POSITIONS[0])
    np.testing.assert_array_equal(result.virial, virial)


def test_a_client_that_says_the_wrong_thing_is_an_error():
    class Rude:
        def send(self, data):
            pass

        def receive(self, size):
            return b"HAVEDATA    "[:size]

    with pytest.raises(RemoteProtocolError, match=r"HAVEDATA.*but.*FORCEREADY.*expected"):
        ScriptedServer(Rude()).evaluate(CELLS, POSITIONS)


def test_a_client_that_says_nothing_is_an_error_and_no_hang():
    client = MemoryClient(lambda request: [])
    with pytest.raises(RemoteProtocolError, match="12 bytes were expected"):
        client.receive(12)
