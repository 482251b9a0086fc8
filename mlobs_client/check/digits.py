"""Check that i-PI writes enough digits.

Source:
    i-PI 3.3.1: ``floatformat`` of ``<simulation>`` formats all numbers in ``<properties>``, in text
    extras and in a RESTART (``ipi/inputs/simulation.py``); positions and velocities in xyz files
    have their own.
"""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Final

from mlobs_client.check.finding import Finding, warning
from mlobs_client.ipi.input import IpiInput
from mlobs_client.units import EV

ALL_DIGITS: Final = "%25.17e"
REMEDY: Final = f"write <simulation floatformat='{ALL_DIGITS}'>"
COARSEST: Final = 1e-5
"""Largest acceptable step of written energies, eV: a fifth of the drift of fifty atoms in 1 ps at 1
ueV per atom per ps."""
NEED_ALL: Final = (1.0 / 3.0, 0.1 + 0.2)
"""Doubles of which at least one changes when it is written with fewer than 17 digits."""


def check_restart(ipi: IpiInput) -> Iterator[Finding]:
    """Find a format that rounds the RESTART: every double must be read back unchanged."""
    if any(float(ipi.floatformat % number) != number for number in NEED_ALL):
        yield warning(
            f"floatformat='{ipi.floatformat}' does not write all digits: a RESTART is rounded, "
            "and a run that continues from it follows another trajectory",
            REMEDY,
        )


def check_energy(energy: float, floatformat: str, subject: str) -> Iterator[Finding]:
    """Find an energy so large that its last written digit hides a drift of ``conserved``.

    Args:
        energy: energy of the structure, Eh.
        floatformat: format of numbers in the input.
        subject: name of the models in the findings.
    """
    written = Decimal((floatformat % (energy / EV)).strip())
    exponent = written.as_tuple().exponent
    if isinstance(exponent, int) and 10.0**exponent > COARSEST:
        yield warning(
            f"{subject}: the energy of the structure is {energy / EV:.0f} eV, which "
            f"floatformat='{floatformat}' writes in steps of {10.0 ** (exponent + 3):g} meV: "
            "'conserved' cannot show smaller changes, and steps of at most "
            f"{COARSEST * 1e3:g} meV are needed",
            REMEDY,
        )
