"""Find outputs of a run by their content, since i-PI's input can give them any name.

``<trajectory filename='vc'> v_centroid </trajectory>`` makes ``PREFIX.vc.xyz``, and ``velocities``
would make ``PREFIX.vc_0.xyz``, ``PREFIX.vc_1.xyz``, ...
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from mlobs_client.errors import RecordError
from mlobs_client.ipi.extras import extras_in
from mlobs_client.ipi.properties import has_header
from mlobs_client.ipi.xyz import quantity_in

_LONGEST: Final = 10_000  # characters of a comment; other files may have no lines at all


@dataclass(frozen=True)
class Output:
    """An output of i-PI.

    Attributes:
        path: path of the file; without bead and file extension if there is one per bead.
        name: name in ``filename=`` of i-PI's input.
        holds: quantity ("velocities"), extras ("dipole", "raw"), or "properties".
    """

    path: Path
    name: str
    holds: tuple[str, ...]


def find_outputs(prefix: Path, holds: str = "") -> list[Output]:
    """Find the properties, trajectories and extras of a run.

    Args:
        prefix: prefix of its outputs, such as ``my-run/simulation``.
        holds: content that the outputs must have; empty for all outputs.
    """
    pattern = re.compile(re.escape(prefix.name) + r"\.([^.]+?)(_\d+)?(\.xyz|\.extxyz)?")
    names = sorted(path.name for path in prefix.parent.glob("*") if path.is_file())
    found: dict[Path, Output] = {}
    for match in filter(None, map(pattern.fullmatch, names)):
        file = prefix.parent / match[0]
        path = file.with_name(f"{prefix.name}.{match[1]}") if match[2] else file
        if path not in found and (contents := _contents(file)):
            found[path] = Output(path, match[1], contents)
    return [output for output in found.values() if not holds or holds in output.holds]


def find_output(prefix: Path, holds: Sequence[str], name: str, remedy: str) -> Path:
    """Find the output that holds one of several quantities.

    Args:
        prefix: prefix of the outputs of the run.
        holds: quantities or extras, in order of preference.
        name: name of the file in the shipped inputs, preferred if several hold the quantity.
        remedy: advice on how to name the file, for error messages.

    Returns:
        Path of the file or, if there is one per bead, the path without bead and file extension.

    Raises:
        RecordError: there is no such output, or there are several and none has this name.
    """
    outputs = find_outputs(prefix)
    for wanted in holds:
        having = [output for output in outputs if wanted in output.holds]
        named = [output for output in having if output.name == name] or having
        if len(named) == 1:
            return named[0].path
        if having:
            listed = ", ".join(output.path.name for output in having)
            raise RecordError(f"{prefix}: {listed} all hold {wanted}; {remedy}")
    listed = ", ".join(f"{output.path.name} ({', '.join(output.holds)})" for output in outputs)
    raise RecordError(
        f"{prefix}: no output holds {' or '.join(holds)}; "
        f"{f'there are {listed}' if listed else 'there are no outputs with this prefix'}; "
        f"{remedy}"
    )


def _contents(file: Path) -> tuple[str, ...]:
    with file.open(encoding="utf-8", errors="replace") as lines:
        first, second = lines.readline(_LONGEST), lines.readline(_LONGEST)
    if names := extras_in(first):
        return names
    if has_header(first):
        return ("properties",)
    quantity = quantity_in(second) if first.strip().isdigit() else ""
    return (quantity,) if quantity else ()
