"""Write and read the JSON text with observables that i-PI carries along with the forces.

The keys and the order of axes are those of :data:`mlobs_client.quantities.QUANTITIES`: i-PI wants
``BEC``, the Born charges, with shape ``(3 n_atoms, 3)``, one row for each displacement and one
column for each component of the dipole.

Source:
    i-PI 3.3.1: ``interfaces/utils.py`` (``parse_extra``), ``engine/motion/driven_dynamics.py``
    (``BEC._get_driver_BEC``), ``engine/forcefields.py`` (``FFCommittee.gather``).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import numpy as np
import orjson

from mlobs_client.errors import LocalProtocolError, RemoteProtocolError
from mlobs_client.quantities import QUANTITIES, Quantity, sent_as
from mlobs_client.structure import Array

# i-PI keeps the whole text under "raw", and its <ffcommittee> prepends "committee_" to each key
# and refuses those that it has already.
RESERVED: Final = frozenset({"raw", "pot", "force", "virial", "uncertainty"})

Value = Array | np.floating | np.integer | float | str


def encode(values: Mapping[str, Value]) -> bytes:
    """Write observables as JSON.

    Args:
        values: arrays and numbers by the name of the quantity, with its shape and in its Hartree
            atomic unit; or texts. Names that are not in the table of quantities, such as
            ``record_row``, are written as they are.

    Returns:
        UTF-8 text, from which float64 numbers are read back exactly; empty without values.

    Raises:
        LocalProtocolError: a key is reserved by i-PI or occurs twice, or a number is NaN or
            infinite.
    """
    fields: dict[str, object] = {}
    for name, value in values.items():
        row = QUANTITIES.get(name)
        key = name if row is None else row.wire_name
        if key in RESERVED or key in fields:
            problem = "i-PI uses this key itself" if key in RESERVED else "this key occurs twice"
            raise LocalProtocolError(f"extras cannot carry {name!r} as {key!r}: {problem}")
        fields[key] = _plain(name, value, row)
    return orjson.dumps(fields, option=orjson.OPT_SERIALIZE_NUMPY) if fields else b""


def decode(text: bytes | str) -> dict[str, Array | str]:
    """Read a text written by :func:`encode`.

    Args:
        text: JSON, UTF-8.

    Returns:
        By the name of the quantity, arrays with its shape in Hartree atomic units (a number is an
        array of shape ``()``), or texts.

    Raises:
        RemoteProtocolError: the text is not a JSON object of numbers, arrays and texts.
    """
    if not text:
        return {}
    try:
        fields = orjson.loads(text)
        return dict(_read(key, value) for key, value in fields.items())
    except (ValueError, TypeError, AttributeError) as error:
        raise RemoteProtocolError(f"extras {_begin(text)} cannot be read: {error}") from error


def _plain(name: str, value: Value, row: Quantity | None) -> object:
    if isinstance(value, str | int):
        return value
    if isinstance(value, np.integer):
        return int(value)
    array = np.asarray(value, dtype=np.float64)
    if not np.isfinite(array).all():
        bad = array[~np.isfinite(array)][0]
        raise LocalProtocolError(f"extras cannot carry {name!r}: it contains {bad}")
    if array.ndim == 0:
        return float(array)
    return np.ascontiguousarray(array if row is None else row.to_wire(array))


def _read(key: str, value: object) -> tuple[str, Array | str]:
    row = sent_as(key)
    name = key if row is None else row.name
    if isinstance(value, str):
        return name, value
    array = np.array(value, dtype=np.float64)
    return name, array if row is None else row.from_wire(array)


def _begin(text: bytes | str) -> str:
    return repr(text[:60]) + ("..." if len(text) > 60 else "")
