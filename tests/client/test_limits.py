"""Structures beyond [limits] get no answer, and are kept."""

from __future__ import annotations

from pathlib import Path

import ase.io
import numpy as np
import pytest

from mlobs_client.client.config import Limits
from mlobs_client.client.limits import check_limits, keep_refused
from mlobs_client.client.session import ClientSession
from mlobs_client.errors import EvaluationError
from mlobs_client.structure import Prediction, Structure
from mlobs_client.units import ANGSTROM, EV

CELL = np.array([[10.0, 0.0, 0.0], [1.0, 11.0, 0.0], [0.5, 0.7, 12.0]])
CLIENT = """structure = "init.xyz"
virial = "none"
[potential]
kind = "toy"
name = "qtip4pf"
[limits]
force = {force}
"""
WATER = """3

O 0.0 0.0 0.0
H 0.757 0.586 0.0
H -0.757 0.586 0.1
"""


def prediction(force: float = 0.0, spread: float = 0.0) -> Prediction:
    """With a force in eV/angstrom on the second atom, and a spread in eV."""
    forces = np.zeros((2, 3))
    forces[1] = np.array([2.0, -1.0, 2.0]) / 3.0 * force * EV / ANGSTROM
    return Prediction(0.0, forces, None, {"energy_spread": np.asarray(spread * EV)})


def test_a_force_is_measured_as_a_vector_in_ev_per_angstrom() -> None:
    check_limits([prediction(force=4.99)], Limits(force=5.0))
    with pytest.raises(
        EvaluationError, match=r"on atom 1 is 5\.01 eV/angstrom, more than \[limits"
    ):
        check_limits([prediction(), prediction(force=5.01)], Limits(force=5.0))


def test_a_spread_is_measured_in_ev() -> None:
    check_limits([prediction(spread=0.099)], Limits(energy_spread=0.1))
    with pytest.raises(EvaluationError, match=r"differ by 0\.101 eV, more than .* = 0\.1"):
        check_limits([prediction(spread=0.101)], Limits(energy_spread=0.1))


def test_without_limits_everything_is_answered() -> None:
    check_limits([prediction(1e9, 1e9)], Limits())


def test_refused_structures_are_kept_as_others_read_them(tmp_path: Path) -> None:
    positions = np.array([[[0.1, 0.2, 0.3], [1.0, 2.0, -30.0]]]) + np.arange(2.0)[:, None, None]
    structures = [Structure(np.array([8, 1]), p, CELL, (True, False, True)) for p in positions]
    words = keep_refused(structures, tmp_path / "refused.xyz")
    assert words == f"its structures are in {tmp_path / 'refused.xyz'}"
    frames = ase.io.read(tmp_path / "refused.xyz", ":")
    for frame, structure in zip(frames, structures, strict=True):
        np.testing.assert_allclose(frame.positions * ANGSTROM, structure.positions, atol=1e-7)
        np.testing.assert_allclose(frame.cell * ANGSTROM, CELL, atol=1e-7)
        assert frame.pbc.tolist() == [True, False, True]
        assert frame.numbers.tolist() == [8, 1]
    assert [path.name for path in tmp_path.iterdir()] == ["refused.xyz"]


def test_where_nothing_can_be_kept_that_is_said(tmp_path: Path) -> None:
    structure = Structure(np.array([8]), np.zeros((1, 3)), CELL)
    words = keep_refused([structure], tmp_path / "missing" / "refused.xyz")
    assert words.startswith("its structures could not be written: ")


def test_a_client_refuses_a_structure_beyond_its_limits_and_keeps_it(tmp_path: Path) -> None:
    (tmp_path / "init.xyz").write_text(WATER)
    (tmp_path / "client.toml").write_text(CLIENT.format(force=5.0))
    positions = ase.io.read(tmp_path / "init.xyz").positions[None] * ANGSTROM
    with ClientSession.from_file(tmp_path / "client.toml") as answer:
        assert len(answer(CELL[None], positions)) == 1
        positions[0, 1] *= 0.7
        with pytest.raises(EvaluationError, match=r"more than \[limits\] force = 5; its structu"):
            answer(CELL[None], positions)
    kept = ase.io.read(tmp_path / "refused.xyz")
    np.testing.assert_allclose(kept.positions * ANGSTROM, positions[0], atol=1e-7)
