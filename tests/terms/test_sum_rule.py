"""Born charges that add up to the charge of the cell."""

from __future__ import annotations

import logging

import numpy as np
import pytest

from mlobs_client.client.total_energy import predict
from mlobs_client.evaluate.toys import random_crystal
from mlobs_client.structure import Structure
from mlobs_client.terms.sum_rule import AcousticSumRule

CHARGES = frozenset({"born_charges"})


def structure() -> Structure:
    return Structure(np.arange(1, 5), np.random.default_rng(1).normal(size=(4, 3)), 9.0 * np.eye(3))


@pytest.mark.parametrize("charge", [0, -2])
def test_the_charges_add_up_and_all_atoms_share_the_change(charge: int) -> None:
    crystal = random_crystal(structure())  # its random charges obey nothing
    (before,), (after,) = (
        predict([structure()], [crystal], terms, CHARGES)
        for terms in ([], [AcousticSumRule(charge)])
    )
    restored = after.observables["born_charges"]
    # rounding of four numbers of order one
    assert restored.sum(axis=0) == pytest.approx(charge * np.eye(3), abs=1e-14)
    moved = restored - before.observables["born_charges"]
    assert moved == pytest.approx(np.broadcast_to(moved[0], moved.shape), abs=1e-15)
    assert (after.energy, after.forces.tolist()) == (before.energy, before.forces.tolist())


def test_it_says_once_how_much_is_moved(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, logger="mlobs_client")
    term = AcousticSumRule()
    for size in (1e-3, 0.5, 0.5):
        term(structure(), {"born_charges": size * np.ones((4, 3, 3))})
    assert [(r.levelname, "at most 0.001 e" in r.message) for r in caplog.records] == [
        ("INFO", True)
    ]
    AcousticSumRule()(structure(), {"born_charges": np.ones((4, 3, 3))})
    assert caplog.records[-1].levelname == "WARNING"


def test_steps_without_charges_pass() -> None:
    assert AcousticSumRule()(structure(), {}).updated == {}
