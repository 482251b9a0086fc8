"""Check that the tables of a client file have the models that they need.

Models take up to a minute to load; a missing model or table is reported before that.
"""

from __future__ import annotations

from typing import Final

from mlobs_client.client.config import NO_FORCES, ClientConfig
from mlobs_client.errors import ConfigError, MissingObservable
from mlobs_client.quantities import QUANTITIES, of_one_committee, predicted

OBSERVABLES: Final = "[observables]"


def check_needs(config: ClientConfig) -> None:
    """Check that a table gives forces, and that each table has the observables that it needs.

    Args:
        config: the client file.

    Raises:
        ConfigError: no table gives forces.
        MissingObservable: no table gives an observable that another needs.
    """
    if not config.gives_forces:
        raise ConfigError(NO_FORCES)
    check_tables(config)


def check_tables(config: ClientConfig) -> None:
    """Check that each observable that a table needs is given by another table.

    An ASE calculator is assumed to give a dipole, since whether it does is known only once it is
    made.

    Args:
        config: the client file.

    Raises:
        MissingObservable: no table gives an observable that another needs.
    """
    given = frozenset[str]().union(
        *(table.gives(QUANTITIES[name]) for name, table in config.models.items())
    )
    for who, names in needed(config).items():
        for name in sorted(names - given):
            table = next(row.table for row in predicted() if name in of_one_committee(row))
            removed = "it from there" if who == OBSERVABLES else who
            raise MissingObservable(
                f"{who} needs {name}, which no model of the client file gives; add a [{table}] "
                f"that does, or remove {removed}"
            )


def needed(config: ClientConfig) -> dict[str, frozenset[str]]:
    """Return, by the name of each table or setting, the observables that it needs from models.

    Args:
        config: the client file.
    """
    of_models = frozenset[str]().union(*(of_one_committee(row) for row in predicted()))
    names_of = {OBSERVABLES: of_models & set(config.observables.strides)}
    for name, term in config.terms.items():
        for setting, names in term.needs.items():
            names_of[f"{setting} of [{name}]" if setting else f"[{name}]"] = names
    if config.limits.energy_spread is not None:
        names_of["[limits] energy_spread"] = frozenset({"energy_spread"})
    return names_of
