"""Convert i-PI's units to atomic units, with i-PI's own factors.

i-PI rounds some of its factors (1 angstrom = 1.8897261 bohr, CODATA 1.8897261259; those for
pressures are 3e-5 too small): only with the same factor does a number come back as i-PI had it.

Source:
    i-PI 3.3.1, ``ipi/utils/units.py`` (``UnitMap``), ``ipi/engine/properties.py`` (dimensions).
"""

from __future__ import annotations

from functools import cache

from mlobs_client.errors import RecordError


def factor(quantity: str, unit: str, where: str) -> float:
    """Return the factor that turns numbers in a file of i-PI into atomic units.

    Args:
        quantity: name of a property or trajectory, without its arguments.
        unit: unit as i-PI writes it, with any prefix ("picosecond"); empty for atomic units.
        where: file and line, for the error message.

    Raises:
        RecordError: i-PI knows no such unit for this quantity.
    """
    if unit in ("", "automatic", "atomic_unit"):
        return 1.0
    from ipi.utils.units import UnitMap, UnitPrefixRE, unit_to_internal

    dimension = _dimensions().get(quantity, "")
    known = UnitMap.get(dimension, {})
    match = UnitPrefixRE.match(unit)
    if match is None or match.group(2).lower() not in known:
        raise RecordError(
            f"{where}: unknown unit {unit!r} of {quantity}; i-PI knows "
            f"{', '.join(name for name in known if name) or 'only atomic_unit'}"
        )
    return float(unit_to_internal(dimension, unit, 1.0))


@cache
def _dimensions() -> dict[str, str]:
    from ipi.engine.properties import Properties, Trajectories

    tables = (Properties().property_dict, Trajectories().traj_dict)
    known = {name: row.get("dimension", "") for table in tables for name, row in table.items()}
    return {**known, "cell": "length", "mass": "mass"}
