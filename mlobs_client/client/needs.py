"""What the tables of a client file need from its models, as far as the file itself tells.

Models are loaded for a minute, and a table that is missing is known before.
"""

from __future__ import annotations

from typing import Final

from mlobs_client.client.config import NO_FORCES, ClientConfig
from mlobs_client.errors import ConfigError, MissingObservable
from mlobs_client.quantities import QUANTITIES, of_one_committee, predicted

OBSERVABLES: Final = "[observables]"


def check_needs(config: ClientConfig) -> None:
    """Check that i-PI would get forces, and that there is a table for all that the others need.

    Raises:
        ConfigError: there is nothing that gives forces.
        MissingObservable: no table can give an observable that one needs.
    """
    if not config.gives_forces:
        raise ConfigError(NO_FORCES)
    check_tables(config)


def check_tables(config: ClientConfig) -> None:
    """Check that there is a table for all that the others need.

    Whether an ASE calculator gives a dipole is known only when it is made; nothing is said of that.

    Raises:
        MissingObservable: no table can give an observable that one needs.
    """
    given = frozenset[str]().union(
        *(table.gives(QUANTITIES[name]) for name, table in config.models.items())
    )
    for who, names in _needed(config).items():
        for name in sorted(names - given):
            table = next(row.table for row in predicted() if name in of_one_committee(row))
            removed = "it there" if who == OBSERVABLES else who
            raise MissingObservable(
                f"{who} needs {name}, which no model of the client file gives; add a [{table}] "
                f"that does, or remove {removed}"
            )


def _needed(config: ClientConfig) -> dict[str, frozenset[str]]:
    """Observables, by what needs them."""
    of_models = frozenset[str]().union(*(of_one_committee(row) for row in predicted()))
    needed = {OBSERVABLES: of_models & set(config.observables.strides)}
    for name, term in config.terms.items():
        for setting, names in term.needs.items():
            needed[f"{setting} of [{name}]" if setting else f"[{name}]"] = names
    if config.limits.energy_spread is not None:
        needed["[limits] energy_spread"] = frozenset({"energy_spread"})
    return needed
