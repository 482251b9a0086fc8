"""What the tables of a client file need from its models, as far as the file itself tells.

Models are loaded for a minute, and a table that is missing is known before.
"""

from __future__ import annotations

from typing import Final

from mlobs_client.client.config import (
    NO_FORCES,
    AseModel,
    ClientConfig,
    MaceDipole,
    MacePolarizability,
    MacePotential,
    ToyDipole,
    ToyModel,
)
from mlobs_client.errors import ConfigError, MissingObservable

OBSERVABLES: Final = "[observables]"
GIVEN: Final = {
    "potential": ("energy", "committee_energies", "energy_spread", "committee_forces",
                  "committee_virials"),
    "dipole": ("dipole", "committee_dipoles", "born_charges"),
    "polarizability": ("polarizability", "committee_polarizabilities", "polarizability_gradient"),
}  # fmt: skip
"""What a table of MACE models gives at most."""


def check_needs(config: ClientConfig) -> None:
    """Check that there is a table for all that the others need.

    Whether an ASE calculator gives a dipole is known only when it is made; nothing is said of that.

    Raises:
        ConfigError: there is nothing that gives forces.
        MissingObservable: no table can give an observable that one needs.
    """
    if not config.gives_forces:
        raise ConfigError(NO_FORCES)
    given = _given(config)
    for who, names in _needed(config).items():
        for name in sorted(names - given):
            table = next(table for table, has in GIVEN.items() if name in has)
            removed = "it there" if who == OBSERVABLES else who
            raise MissingObservable(
                f"{who} needs {name}, which no model of the client file gives; add a [{table}] "
                f"that does, or remove {removed}"
            )


def _needed(config: ClientConfig) -> dict[str, frozenset[str]]:
    """Observables, by what needs them."""
    of_models = frozenset(name for names in GIVEN.values() for name in names)
    needed = {OBSERVABLES: of_models & set(config.observables.strides)}
    if config.coupling is not None:
        table = config.coupling_table
        needed[table] = frozenset({"dipole"})
        if config.coupling.second_order:
            needed[f"second_order of {table}"] = frozenset({"polarizability"})
    if config.limits.energy_spread is not None:
        needed["[limits] energy_spread"] = frozenset({"energy_spread"})
    return needed


def _given(config: ClientConfig) -> frozenset[str]:
    """What the models give at most."""
    given = frozenset[str]()
    for table in (config.potential, config.dipole, config.polarizability):
        match table:
            case AseModel():
                given |= {"energy", "dipole"}
            case ToyDipole(name=""):  # formal charges
                given |= {"dipole", "born_charges"}
            case ToyModel():
                from mlobs_client.evaluate.toys import make_toy

                given |= make_toy(table.name, table.parameters).provides
            case MacePotential():
                given |= set(GIVEN["potential"])
            case MaceDipole():
                given |= set(GIVEN["dipole"])
            case MacePolarizability():
                given |= set(GIVEN["polarizability"])
    return given
