"""The worker; what it makes is tested in test_networks.py and test_compile.py."""

from __future__ import annotations

import time

import torch

from mlobs_client.evaluate.compile import worker
from mlobs_client.evaluate.compile.store import ProgramSize, Request


def test_it_compiles_for_the_size_and_the_precision_of_the_request(committee) -> None:
    networks = committee("potential", 2)
    for dtype in (torch.float64, torch.float32):
        for network in networks:
            network.to(dtype)
        given = worker._example(Request(networks, ProgramSize(3, 11, 96, 64), 1))
        assert (given.positions.shape, given.positions.dtype) == ((11, 3), torch.float64)
        assert (given.attributes.shape, given.attributes.dtype) == ((11, 2), dtype)
        assert given.cells.shape == (3, 3, 3)
        assert set(given.structure_of.tolist()) == {0, 1, 2}
        assert given.pairs.shape == (2, 96)
        assert 0 <= int(given.pairs.min()) <= int(given.pairs.max()) < 11
        assert given.images.shape == (96, 3)


def test_the_first_run_and_a_slow_one_do_not_count() -> None:
    pauses = iter([0.3, 0.3, *[0.001] * worker.REPEATS])
    assert worker._time(lambda: time.sleep(next(pauses))) < 0.1
