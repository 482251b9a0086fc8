"""What a label of i-PI means."""

from __future__ import annotations

import numpy as np
import pytest

from mlobs_client.ipi.labels import are_isotopes, element, masses_of, numbers_of
from mlobs_client.units import DALTON


def test_isotopes_are_their_element() -> None:
    labels = ("O", "D", "T", "O18", "C13", "Cl37", "Z", "H2")
    assert numbers_of(labels).tolist() == [8, 1, 1, 8, 6, 17, 1, 1]


def test_masses_are_those_that_i_pi_gives() -> None:
    # AME2020: D 2.0141, T 3.0160, O18 17.9992, C13 13.0034 u
    masses = masses_of(("H", "D", "T", "O18", "C13", "O")) / DALTON
    np.testing.assert_allclose(masses, [1.008, 2.0141, 3.0160, 17.9992, 13.0034, 15.999], rtol=1e-4)


def test_an_isotope_that_i_pi_does_not_know_has_its_mass_number() -> None:
    np.testing.assert_allclose(masses_of(("N15", "Og")) / DALTON, [15.0, 294.0], rtol=1e-3)


def test_the_photon_of_a_cavity_is_no_atom() -> None:
    assert element("L") == "X"
    assert numbers_of(("L",)).tolist() == [0]


@pytest.mark.parametrize("label", ["", "18", "Ox", "h", "²"])
def test_what_is_no_label_is_refused_by_its_name(label: str) -> None:
    with pytest.raises(ValueError, match=f"unknown species {label!r}"):
        element(label)


def test_isotopes_are_told_from_elements_and_photons() -> None:
    assert are_isotopes(("H", "D"))
    assert are_isotopes(("O", "O18"))
    assert not are_isotopes(("H", "O", "L", "X"))
