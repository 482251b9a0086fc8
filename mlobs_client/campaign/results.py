"""Collect the results of a campaign in a table with a row per run and a column per quantity."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import h5py
import numpy as np

from mlobs_client.campaign.campaign import Campaign
from mlobs_client.campaign.file import Value
from mlobs_client.campaign.state import CampaignRun, RunState
from mlobs_client.errors import RecordError
from mlobs_client.files import replacing, write_csv
from mlobs_client.ipi import Properties, read_properties
from mlobs_client.ipi import input as ipi_input
from mlobs_client.ipi.dimensions import factor
from mlobs_client.results.run_length import Interval
from mlobs_client.results.skip import Skip
from mlobs_client.results.statistics import OF_SERIES, mean
from mlobs_client.units import PICOSECOND

COUNTED: Final = ("step", "time")  # of no interest as an average
ENDINGS: Final = {"errors": "error", "no error": "no error"}
"""Endings of the names of columns that hold no means."""


@dataclass(frozen=True)
class ResultColumn:
    """One column of the table.

    Attributes:
        group: ``runs``, ``parameters``, ``means``, ``errors`` (standard errors of the means) or
            ``no error`` (why there is none).
        name: name of the quantity.
        unit: unit as i-PI writes it; empty if there is none.
    """

    group: str
    name: str
    unit: str = ""

    @property
    def header(self) -> str:
        """A unique name for the column."""
        name = f"{self.name} {ENDINGS[self.group]}" if self.group in ENDINGS else self.name
        return f"{name} ({self.unit})" if self.unit else name


ResultTable = Mapping[ResultColumn, Sequence[Value | None]]


def collect(campaign: Campaign, skip: Skip) -> ResultTable:
    """Return the table: parameters, state, steps, and averages of the first ``<properties>``.

    Averages of runs that are not done are None.

    Args:
        campaign: the campaign.
        skip: equilibration that averages leave out.

    Raises:
        RecordError: the outputs of a run that is done cannot be read, or are too short.
    """
    rows = [_describe(run, skip) for run in campaign.runs.values()]
    columns = dict.fromkeys(column for row in rows for column in row)
    order = ("runs", "parameters", "means", "errors", "no error")
    by_kind = sorted(columns, key=lambda column: order.index(column.group))
    return {column: [row.get(column) for row in rows] for column in by_kind}


def write_table(table: ResultTable, stem: Path) -> tuple[Path, Path]:
    """Write the table as CSV, and as HDF5: a dataset for each column, with its unit, in its group.

    Args:
        table: the table.
        stem: path without a file extension; ``.csv`` and ``.h5`` are added.

    Raises:
        RecordError: a file cannot be written.
    """
    csv, hdf5 = (Path(f"{stem}.{end}") for end in ("csv", "h5"))
    try:
        stem.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RecordError(f"{stem.parent} cannot be made: {error.strerror}") from error
    write_csv(csv, {column.header: values for column, values in table.items()})
    with replacing(hdf5) as draft, h5py.File(draft, "w") as file:
        for column, values in table.items():
            place = f"{column.group}/{column.name}"
            made = file.create_dataset(place, data=_as_array(values))
            made.attrs["unit"] = column.unit
            if column.group == "errors":
                made.attrs["error_from"] = OF_SERIES
    return csv, hdf5


def _as_array(values: Sequence[Value | None]) -> object:
    """Return numbers or strings, with NaN or empty strings for None."""
    if any(isinstance(value, str) for value in values):
        return ["" if value is None else str(value) for value in values]
    if None in values:
        return np.array([np.nan if value is None else value for value in values], np.float64)
    return np.array(values)


def _describe(run: CampaignRun, skip: Skip) -> dict[ResultColumn, Value | None]:
    state = run.read_state()
    result = run.read_result()
    row: dict[ResultColumn, Value | None] = {
        ResultColumn("runs", "run"): run.name,
        ResultColumn("runs", "after"): run.after or "",
        ResultColumn("runs", "state"): state.value,
        ResultColumn("runs", "steps"): result.get("steps"),
        ResultColumn("runs", "wall time", "second"): result.get("seconds"),
    }
    row.update({ResultColumn("parameters", name): value for name, value in run.parameters.items()})
    return {**row, **(_average(run, skip) if state is RunState.DONE else {})}


def _average(run: CampaignRun, skip: Skip) -> dict[ResultColumn, Value]:
    ipi = ipi_input.read(run.folder / "input.xml")
    if not ipi.properties:
        return {}
    prefixes = list(dict.fromkeys(ipi.system_prefixes))
    found: dict[ResultColumn, Value] = {}
    for prefix, path in zip(prefixes, ipi.files(ipi.properties[0].filename), strict=True):
        found.update(_means(path, skip, f"{prefix}_" if len(prefixes) > 1 else ""))
    return found


def _means(path: Path, skip: Skip, mark: str) -> dict[ResultColumn, Value]:
    """Return the averages of one system; the mark precedes the names of its columns."""
    properties = read_properties(path)
    n_samples = len(next(iter(properties.values.values())))
    first = skip.count(n_samples, lambda: properties["time"])
    interval = _interval(properties)
    found: dict[ResultColumn, Value] = {}
    for name, values in properties.values.items():
        if name in COUNTED:
            continue
        unit = properties.units[name]
        scale = 1.0 / factor(name.split("(")[0], unit, str(path))
        parts = (
            {f"{mark}{name}": values}
            if values.ndim == 1
            else {f"{mark}{name}[{i}]": values[:, i] for i in range(values.shape[1])}
        )
        for part, series in parts.items():
            try:
                estimate = mean(series[first:] * scale, interval=interval)
            except RecordError as error:
                raise RecordError(f"{path}: {part}: {error}, or skip less") from error
            found[ResultColumn("means", part, unit or "atomic_unit")] = estimate.value
            found[ResultColumn("errors", part, unit or "atomic_unit")] = estimate.error
            if estimate.no_error:
                found[ResultColumn("no error", part)] = estimate.no_error
    return found


def _interval(properties: Properties) -> Interval | None:
    """Return the interval between samples, ps; None if the properties have no time or steps."""
    if not {"step", "time"}.issubset(properties.values):
        return None
    step, time = (
        float(np.ptp(properties[name])) / max(1, len(properties[name]) - 1)
        for name in ("step", "time")
    )
    return Interval(time / PICOSECOND, step)
