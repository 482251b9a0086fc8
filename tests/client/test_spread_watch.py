"""Spreads far beyond those of the calibration are warned of once."""

from __future__ import annotations

import logging

import numpy as np
import pytest
from calibrations import quantity

from mlobs_client.client.spread_watch import MARGIN, SpreadWatch
from mlobs_client.evaluate.card import Alpha
from mlobs_client.units import ANGSTROM, EV

ALPHA = 1.7


def watch(name: str, largest: float, unit: str) -> SpreadWatch:
    return SpreadWatch({name: Alpha(ALPHA, card=quantity(ALPHA, unit, largest), of=name)})


def energy(spread: float) -> dict[str, np.ndarray]:
    """With alpha in it, as it is sent."""
    return {"energy_spread": np.array(ALPHA * spread * EV)}


def test_a_large_spread_is_warned_of_once(caplog) -> None:
    one = watch("energy", 0.1, "eV")
    one.check(energy(0.999 * MARGIN * 0.1), 4)
    assert caplog.records == []
    one.check(energy(1.001 * MARGIN * 0.1), 4)
    one.check(energy(5.0), 4)
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    assert "the members differ by 0.2 eV" in record.getMessage()
    assert "structures like this one were not in frames.extxyz" in record.getMessage()
    assert one.needs(frozenset()) == frozenset()


def test_structures_of_other_sizes_are_compared_by_the_root_of_their_atoms(caplog) -> None:
    one = watch("energy", 0.1, "eV")  # of four atoms
    one.check(energy(0.39), 16)
    assert caplog.records == []
    one.check(energy(0.41), 16)
    assert len(caplog.records) == 1


@pytest.mark.parametrize(
    ("name", "observable", "shape", "unit"),
    [
        ("dipole", "committee_dipoles", (3,), ANGSTROM),
        ("polarizability", "committee_polarizabilities", (3, 3), ANGSTROM**3),
    ],
)
def test_vectors_and_tensors_are_watched_by_their_members(
    name, observable, shape, unit, caplog
) -> None:
    one = watch(name, 1.0, "unit")
    assert one.needs(frozenset({name, "born_charges"})) == {observable}
    assert one.needs(frozenset({"energy"})) == frozenset()
    members = np.array([-1.0, 0.0, 1.0]).reshape(3, *(1 for _ in shape)) * np.ones(shape)
    # the diagonal and sqrt(2) times three others: a mean square of (3 + 6)/6
    pooled = 1.0 if shape == (3,) else np.sqrt(1.5)
    one.check({observable: ALPHA * unit * 0.99 * MARGIN / pooled * members}, 4)
    assert caplog.records == []
    one.check({observable: ALPHA * unit * 1.01 * MARGIN / pooled * members}, 4)
    assert len(caplog.records) == 1


def test_what_was_not_calibrated_is_not_watched(caplog) -> None:
    one = SpreadWatch({"energy": Alpha(1.0), "dipole": Alpha(1.0)})
    assert one.needs(frozenset({"dipole"})) == frozenset()
    one.check(energy(100.0), 4)
    assert caplog.records == []


def test_that_a_card_of_forces_alone_watches_no_spread_is_said_at_the_start(caplog) -> None:
    one = SpreadWatch({"energy": Alpha(ALPHA, card=quantity(ALPHA, "eV/angstrom"), of="forces")})
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    assert "energy: spreads are not compared with those of the calib" in record.getMessage()
    assert one.needs(frozenset()) == frozenset()
    one.check(energy(100.0), 4)
    assert caplog.records == [record]
