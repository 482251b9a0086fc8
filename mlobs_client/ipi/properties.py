"""Read the ``<properties>`` files of i-PI.

i-PI's own ``read_output`` keeps the units of the file, does not allow for the truncated lines of a
run that was killed, and returns the repeated steps of a continued run twice.
"""

from __future__ import annotations

import logging
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np

from mlobs_client.errors import RecordError
from mlobs_client.files import data_frame
from mlobs_client.ipi.continuation import find_history
from mlobs_client.ipi.dimensions import factor
from mlobs_client.ipi.frames import whole_number
from mlobs_client.structure import Array

if TYPE_CHECKING:
    from pandas import DataFrame

logger = logging.getLogger(__name__)

# "# column   1     --> step : help" and "# cols.    3-8      --> stress_md{megapascal} : help"
_COLUMN: Final = re.compile(r"#\s*(?:column|cols\.)\s+(\d+)(?:-(\d+))?\s+-->\s*(.+?)\s*(?: : |$)")
_UNIT: Final = re.compile(r"\{([^}]*)\}")


@dataclass(frozen=True)
class Properties:
    """Properties of a run.

    Attributes:
        values: values by the names in i-PI's input, such as ``kinetic_md(O)``, without unit; atomic
            units, shape ``(n_steps,)`` or ``(n_steps, n_columns)``.
        units: unit of each property in the (first) file, as i-PI writes it.
    """

    values: Mapping[str, Array]
    units: Mapping[str, str]

    def __getitem__(self, name: str) -> Array:
        if name not in self.values:
            raise RecordError(
                f"the properties have no {name!r}; they have {', '.join(self.values)}: add it to "
                "<properties> in i-PI's input"
            )
        return self.values[name]

    def to_pandas(self) -> DataFrame:
        """Return a pandas table, atomic units; a tensor has columns ``name[0]``, ``name[1]``, ...

        Raises:
            RecordError: pandas is not installed.
        """
        columns: dict[str, Array] = {}
        for name, values in self.values.items():
            if values.ndim == 1:
                columns[name] = values
            else:
                columns |= {f"{name}[{k}]": column for k, column in enumerate(values.T)}
        return data_frame(columns)


@dataclass(frozen=True)
class PropertyColumn:
    """The column of a property in a file.

    Attributes:
        name: name in i-PI's input, without unit.
        unit: unit as i-PI writes it; empty for atomic units.
        columns: slice of its numbers in a row.
    """

    name: str
    unit: str
    columns: slice


def read_properties(*paths: Path | str) -> Properties:
    """Read properties and convert them to atomic units.

    Args:
        paths: one file, or the files of a continued run in their order. A run that i-PI
            continued in the same file is one file. i-PI writes no header when it continues, so a
            file without a header has the columns of the previous one.

    Raises:
        RecordError: a file is missing, has no header, or has a line that cannot be read.

    Example:
        >>> import tempfile
        >>> from pathlib import Path
        >>> from mlobs_client.ipi import read_properties
        >>> from mlobs_client.units import KELVIN
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = Path(folder) / "simulation.out"
        ...     length = path.write_text('''# column   1     --> step : The current step.
        ... # column   2     --> temperature{kelvin} : The current temperature.
        ...     0   300.0
        ...     1   302.0
        ... ''')
        ...     properties = read_properties(path)
        >>> print(f"{properties['temperature'].mean() / KELVIN:.1f} K")
        301.0 K
    """
    columns: list[PropertyColumn] = []
    tables: list[Array] = []
    units: dict[str, str] = {}
    names: list[str] = []
    files = [Path(path) for path in paths]
    for path, first_line, lines in _pieces(files):
        where = f"{path}:{first_line}"
        columns = read_header(lines, path) or columns
        if not columns:
            raise RecordError(f"{path}: has no header that names the columns of i-PI properties")
        if names and [column.name for column in columns] != names:
            raise RecordError(f"{where}: has other columns than {files[0]}; read them separately")
        names = [column.name for column in columns]
        units = units or {column.name: column.unit for column in columns}
        tables.append(_read_table(path, first_line, lines, columns))
    if not tables:
        raise RecordError("no properties file was given")
    table = np.concatenate(tables)
    values = {c.name: _squeeze(table[:, c.columns]) for c in reversed(columns)}
    return Properties(_one_history({name: values[name] for name in names}, files), units)


def has_header(line: str) -> bool:
    """Return whether a line belongs to a header of properties."""
    return _COLUMN.match(line) is not None


def _pieces(paths: Sequence[Path]) -> Iterator[tuple[Path, int, list[str]]]:
    """Yield path, number of the first line, and lines of each part, which has at most one header.

    A file that was joined from others has several headers, each with its own units.
    """
    for path in paths:
        lines = _read_lines(path)
        first = [i for i, line in enumerate(lines) if (m := _COLUMN.match(line)) and m[1] == "1"]
        starts = [0, *first[1:], len(lines)]
        for start, end in pairwise(starts):
            yield path, start + 1, lines[start:end]


def _read_lines(path: Path) -> list[str]:
    try:
        lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    except (OSError, UnicodeDecodeError) as error:
        raise RecordError(f"{path}: cannot be read as properties of i-PI: {error}") from error
    if lines and not lines[-1].endswith("\n"):
        logger.warning("%s: the last line is truncated and left out", path)
        lines.pop()
    return lines


def read_header(lines: Sequence[str], path: Path) -> list[PropertyColumn]:
    """Read the columns that a header names.

    Args:
        lines: lines of the file; those outside the header are ignored.
        path: path of the file, for error messages.

    Raises:
        RecordError: a column number is invalid.
    """
    matches = [match for line in lines if line.startswith("#") and (match := _COLUMN.match(line))]
    columns = []
    for match in matches:
        where, what = f"{path}: header: column", match[3]
        first, last = (whole_number(text, where) for text in (match[1], match[2] or match[1]))
        if not 1 <= first <= last:
            raise RecordError(f"{where} {match[1]}-{last} is invalid; columns are counted from 1")
        unit = _UNIT.search(what)
        name = _UNIT.sub("", what).strip()
        columns.append(PropertyColumn(name, unit[1] if unit else "", slice(first - 1, last)))
    return columns


def _read_table(
    path: Path, first_line: int, lines: list[str], columns: list[PropertyColumn]
) -> Array:
    n_columns = columns[-1].columns.stop
    places = {one.name: one.columns.start for one in columns if one.name in ("step", "time")}
    rows = []
    for number, line in enumerate(lines, first_line):
        fields = line.split()
        if not fields or line.startswith("#"):
            continue
        if len(fields) > n_columns:  # i-PI was killed within a line and continued behind it
            logger.warning("%s:%d: a truncated line before this one is left out", path, number)
            fields = fields[-n_columns:]
        if len(fields) < n_columns:
            raise RecordError(f"{path}:{number}: has {len(fields)} numbers instead of {n_columns}")
        try:
            rows.append(list(map(float, fields)))
        except ValueError as error:
            raise RecordError(f"{path}:{number}: {error}") from None
        for name, place in places.items():
            if not math.isfinite(rows[-1][place]):
                raise RecordError(f"{path}:{number}: {name} is {fields[place]}; remove this line")
    table = np.array(rows).reshape(-1, n_columns)
    for column in columns:
        quantity = column.name.split("(")[0]
        table[:, column.columns] *= factor(quantity, column.unit, f"{path}: header")
    return table


def _one_history(values: dict[str, Array], paths: Sequence[Path]) -> dict[str, Array]:
    order = values.get("step", values.get("time"))
    if order is None:
        if len(paths) > 1:
            raise RecordError(
                f"{paths[0]}: has neither step nor time, so continued runs cannot be joined; "
                "add step to <properties>"
            )
        return values
    history = find_history(order, paths[0], "rows")
    return {name: value[history] for name, value in values.items()}


def _squeeze(table: Array) -> Array:
    return table[:, 0] if table.shape[1] == 1 else table
