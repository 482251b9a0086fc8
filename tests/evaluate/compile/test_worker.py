"""The worker; what it makes is tested in test_networks.py and test_compile.py."""

from __future__ import annotations

import time

import torch

from mlobs_client.evaluate.compile import worker
from mlobs_client.evaluate.compile.store import Request, Size


def test_it_compiles_for_the_size_and_the_precision_of_the_request(committee) -> None:
    networks = committee("potential", 2)
    for dtype in (torch.float64, torch.float32):
        for network in networks:
            network.to(dtype)
        vectors, attributes, edges = worker._example(Request(networks, Size(11, 96), 1))
        assert (vectors.shape, vectors.dtype) == ((96, 3), dtype)
        assert (attributes.shape, attributes.dtype) == ((11, 2), dtype)
        assert edges.shape == (2, 96)
        assert 0 <= int(edges.min()) <= int(edges.max()) < 11


def test_the_first_run_and_a_slow_one_do_not_count() -> None:
    pauses = iter([0.3, 0.3, *[0.001] * worker.REPEATS])
    assert worker._time(lambda: time.sleep(next(pauses))) < 0.1
