"""How many digits i-PI writes, and whether they are enough.

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
"""eV: a fifth of what fifty atoms lose in 1 ps at a drift of 1 ueV per atom and ps."""
NEED_ALL: Final = (1.0 / 3.0, 0.1 + 0.2)
"""Doubles that come back from 17 digits and not, both of them, from fewer."""


def check_restart(ipi: IpiInput) -> Iterator[Finding]:
    """Find a RESTART that is rounded: a double has to come back from it unchanged."""
    if any(float(ipi.floatformat % number) != number for number in NEED_ALL):
        yield warning(
            f"floatformat='{ipi.floatformat}' has not all digits: a RESTART is rounded, and what "
            "goes on from it is another trajectory",
            REMEDY,
        )


def check_energy(energy: float, floatformat: str, subject: str) -> Iterator[Finding]:
    """Find energies so large that their last digit hides what ``conserved`` is looked at for.

    Args:
        energy: of the structure, Eh.
        floatformat: of the input.
        subject: how to call the models.
    """
    written = Decimal((floatformat % (energy / EV)).strip())
    exponent = written.as_tuple().exponent
    if isinstance(exponent, int) and 10.0**exponent > COARSEST:
        yield warning(
            f"{subject}: the energy of the structure is {energy / EV:.0f} eV, which "
            f"floatformat='{floatformat}' writes in steps of {10.0 ** (exponent + 3):g} meV: "
            f"'conserved' cannot show less, and {COARSEST * 1e3:g} meV is right",
            REMEDY,
        )
