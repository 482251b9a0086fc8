"""The example of pulses in its short form: harmonic charges in place of water."""

from __future__ import annotations

import json
import runpy
from pathlib import Path

import ase.io
import numpy as np
import pytest

from mlobs_client.results import Result
from mlobs_client.units import ANGSTROM, DALTON, INVERSE_CM

EXAMPLE = Path(__file__).parents[2] / "examples" / "pulse"
SPRING = 0.45  # Eh/bohr^2


@pytest.fixture(scope="module")
def short(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Springs at the atoms of the box: protons at 3250 cm^-1."""
    sites = ase.io.read(EXAMPLE / "init.xyz").positions * ANGSTROM
    client = f"""structure = "init.xyz"
virial = "none"
[socket]
address = "pulse"
[potential]
kind = "toy"
name = "charged_oscillators"
[potential.parameters]
charges = {[-2, 1, 1] * 16}
spring_constant = {SPRING}
sites = {sites.tolist()}
[observables]
extras = ["dipole"]
"""
    folder = tmp_path_factory.mktemp("example") / "short"
    script = runpy.run_path(str(EXAMPLE / "respond.py"))
    script["main"](folder, n_starts=2, n_between=600, n_steps=240, resolution=400, client=client)
    return folder


def test_pulses_and_fluctuations_become_one_figure(short: Path) -> None:
    curves = Result.read(short / "dielectric.json").curves
    assert {one.label for one in curves} == {"fluctuations", "pulse"}
    (pulse, *_) = (one for one in curves if one.label == "pulse")
    assert pulse.details["pairs"] == 2
    assert pulse.details["duration, sigma (fs)"] == pytest.approx(2.0, rel=1e-3)


def test_harmonic_charges_respond_as_much_as_is_exact_and_to_half_of_the_pulse_with_half(
    short: Path,
) -> None:
    numbers = json.loads((short / "numbers.json").read_text())
    assert numbers["deviation of half the pulse"]["whole run"] < 1e-6
    stretch = numbers["integrals (cm^-1)"]["stretch"]["pulse"][0]
    # the centre of mass is held: one mode of u for the protons, -share u for the oxygens
    proton, share = 1.008 * DALTON, 2.0 * 1.008 / 15.999
    mass, charge = 32 * proton * (1.0 + share), 32 + 2 * 16 * share
    frequency = np.sqrt(SPRING * (32 + 16 * share**2) / mass)
    volume = np.linalg.det(ase.io.read(EXAMPLE / "init.xyz").cell * ANGSTROM)
    exact = 0.5 * np.pi * 4.0 * np.pi / volume * charge**2 / (mass * frequency) / INVERSE_CM
    # steps of 0.5 fs: (w dt)^2/8, a hundredth
    assert stretch == pytest.approx(exact, rel=0.03)


def test_what_was_found_agrees_within_its_errors() -> None:
    integrals = json.loads((EXAMPLE / "expected.json").read_text())["integrals (cm^-1)"]
    for both in integrals.values():
        (at_rest, e1), (after, e2) = both["fluctuations"], both["pulse"]
        assert at_rest == pytest.approx(after, abs=3.0 * np.hypot(e1, e2))
