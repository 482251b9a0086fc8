"""Processes that evaluate batches of structures."""

from __future__ import annotations

import multiprocessing
import os
import signal
from pathlib import Path

import numpy as np
import pytest

from mlobs_client.client import config
from mlobs_client.client.build import assemble, read_structure
from mlobs_client.client.total_energy import observe_batch
from mlobs_client.client.workers import workers
from mlobs_client.errors import EvaluationError
from mlobs_client.structure import Structure


def batches(client: Path, n: int) -> list[list[Structure]]:
    """Batches of one structure, that grows."""
    template = read_structure(config.load_config(client), client.parent)
    return [
        [Structure(template.numbers, (1.0 + 0.001 * k) * template.positions, template.cell,
                   template.pbc)]
        for k in range(n)
    ]  # fmt: skip


def test_values_come_in_the_order_of_their_batches(finished_run: Path) -> None:
    client = finished_run / "client.toml"
    assembly = assemble(config.load_config(client), client.parent)
    given = batches(client, 20)
    with workers(client, ["dipole"], 2) as evaluate:
        found = [values[0]["dipole"] for values in evaluate(given)]
    for structures, dipole in zip(given, found, strict=True):
        (expected,) = observe_batch(structures, assembly.evaluators, assembly.terms, ["dipole"])
        np.testing.assert_array_equal(dipole, expected["dipole"])


def test_batches_are_not_read_far_ahead(finished_run: Path) -> None:
    client = finished_run / "client.toml"
    unread = iter(batches(client, 40))
    with workers(client, ["dipole"], 2) as evaluate:
        next(evaluate(unread))
    assert len(list(unread)) > 30


def test_a_process_that_is_killed_is_an_error_with_a_remedy(finished_run: Path) -> None:
    with pytest.raises(
        EvaluationError, match=r"fewer \(--at-once\), or with a smaller --batch-size"
    ):
        kill_while_they_work(finished_run / "client.toml")


def kill_while_they_work(client: Path) -> None:
    with workers(client, ["dipole"], 2) as evaluate:
        values = evaluate(batches(client, 100))
        next(values)
        for child in multiprocessing.active_children():
            os.kill(child.pid or 0, signal.SIGKILL)
        list(values)
