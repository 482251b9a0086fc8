"""Oxidation numbers of a client file, whatever the family of its models."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from client_files import DIPOLE, WATER, assembled

from mlobs_client.client.total_energy import predict


def test_integers_that_add_up_to_a_charge_are_warned_of(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    assembled(tmp_path, WATER + DIPOLE)
    assert "add up" not in caplog.text
    assembled(tmp_path, WATER + DIPOLE.replace("H = 1", "H = 2"))
    assert "oxidation_numbers add up to +2 e" in caplog.text


def test_restored_charges_add_up_to_the_oxidation_numbers(tmp_path: Path) -> None:
    rule = '[observables]\nextras = ["born_charges"]\nsum_rule = "restore"\n'
    for numbers, charge in (("O = -2, H = 1", 0), ("O = -1, H = 1", 1)):
        text = WATER + DIPOLE.replace("O = -2, H = 1", numbers) + rule
        assembly = assembled(tmp_path, text)
        (prediction,) = predict(
            [assembly.structure], assembly.evaluators, assembly.terms, frozenset({"born_charges"})
        )
        found = prediction.observables["born_charges"].sum(axis=0)
        assert found == pytest.approx(charge * np.eye(3), abs=1e-14)
