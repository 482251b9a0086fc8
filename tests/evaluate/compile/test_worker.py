"""The worker; what it makes is tested in test_networks.py and test_compile.py."""

from __future__ import annotations

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


def test_it_times_more_than_one_run() -> None:
    runs = []
    assert worker._time(lambda: runs.append(1)) >= 0.0
    assert len(runs) == worker.REPEATS + 1
