"""Results: curves, points, numbers, tensors and comparisons, written and read exactly.

A result is written to three files: ``STEM.json`` and ``STEM.h5`` hold all of it, to the last bit,
and ``STEM.csv`` is a table of the curves, points and comparisons for people and other programs.
"""

from __future__ import annotations

import io
import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from mlobs_client.errors import MlobsError, RecordError
from mlobs_client.files import data_frame, write_csv, write_whole
from mlobs_client.results.curve import ARRAYS, Curve
from mlobs_client.results.estimate import Estimate
from mlobs_client.results.parity import Parity
from mlobs_client.results.provenance import Provenance
from mlobs_client.structure import Array

if TYPE_CHECKING:
    from pandas import DataFrame

FORMAT: Final = "mlobs result 1"
"""Name and version of the file format."""

UNREADABLE: Final = (
    OSError, ValueError, LookupError, TypeError, AttributeError, ArithmeticError, RuntimeError,
    MlobsError,
)  # fmt: skip
"""Errors that reading a damaged file, or one of another program, raises here and in h5py."""


@dataclass(frozen=True, eq=False)
class Points:
    """Estimates of one quantity at several values of another, such as averages in fields.

    Attributes:
        quantity: name of y.
        x_name: name of x, such as ``"field"``.
        x_unit: unit of x; ``"1"`` if it has none.
        x: shape ``(n,)``, in ``x_unit``.
        y: n estimates, all of one unit.
        label: name in the legend of a figure.
        details: details of the analysis, for a reader.
        is_line: True if a figure joins the points by a line with a band.

    Raises:
        RecordError: there are no points, the numbers of x and y differ, or the units of y differ.
    """

    quantity: str
    x_name: str
    x_unit: str
    x: Array
    y: tuple[Estimate, ...]
    label: str = ""
    details: Mapping[str, str | float] = field(default_factory=dict)
    is_line: bool = False

    def __post_init__(self) -> None:
        if np.shape(self.x) != (len(self.y),) or not self.y:
            raise RecordError(
                f"{self.quantity}: {len(self.y)} estimates need as many values of x, got "
                f"{np.shape(self.x)}"
            )
        if len(units := {one.unit for one in self.y}) > 1:
            raise RecordError(f"{self.quantity}: points of one quantity have one unit, not {units}")

    @property
    def unit(self) -> str:
        """Unit of y."""
        return self.y[0].unit

    @property
    def mean(self) -> Array:
        """The values, shape ``(n,)``, in ``unit``."""
        return np.array([one.value for one in self.y])

    @property
    def error(self) -> Array:
        """Standard errors of the values, shape ``(n,)``, in ``unit``; NaN if there is none."""
        return np.array([one.error for one in self.y])

    @property
    def error_from(self) -> str:
        """Sources of the errors, or reasons why there are none."""
        return "; ".join(dict.fromkeys(one.no_error or one.error_from for one in self.y))


@dataclass(frozen=True, eq=False)
class Tensor:
    """A tensor with the errors of its elements.

    Attributes:
        name: name of the tensor.
        unit: unit of the elements; ``"1"`` if they have none.
        values: elements, any shape, in ``unit``.
        errors: standard errors, same shape, in ``unit``; NaN if there is none.
        error_from: source of the errors, or the reason why there are none.

    Raises:
        RecordError: values and errors have different shapes.
    """

    name: str
    unit: str
    values: Array
    errors: Array
    error_from: str = ""

    def __post_init__(self) -> None:
        if np.shape(self.values) != np.shape(self.errors) or not np.size(self.values):
            raise RecordError(
                f"{self.name}: values and errors must have one shape, got "
                f"{np.shape(self.values)} and {np.shape(self.errors)}"
            )


@dataclass(frozen=True, eq=False)
class Result:
    """The result of an analysis.

    Attributes:
        title: title of the result.
        curves: curves, in the order in which they are drawn.
        points: points, likewise.
        numbers: estimates, by name.
        tensors: tensors, which carry their names.
        parities: predictions against references, in the order in which they are drawn.
        provenance: origin of the result.

    Example:
        >>> import tempfile
        >>> from mlobs_client.results import Estimate, Result
        >>> result = Result("density", numbers={"density": Estimate(0.997, 0.002, "g/cm^3", 40)})
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     json, hdf5, table = result.write(f"{folder}/water")
        ...     print(Result.read(hdf5).numbers["density"])
        0.9970 ± 0.0020 g/cm^3
    """

    title: str
    curves: tuple[Curve, ...] = ()
    points: tuple[Points, ...] = ()
    numbers: Mapping[str, Estimate] = field(default_factory=dict)
    tensors: tuple[Tensor, ...] = ()
    parities: tuple[Parity, ...] = ()
    provenance: Provenance = field(default_factory=Provenance)

    def write(self, stem: Path | str) -> tuple[Path, ...]:
        """Write the result; a file is replaced as a whole or not at all.

        Args:
            stem: path without a file extension; ``.json``, ``.h5`` and ``.csv`` are added.

        Returns:
            The paths of the three files.

        Raises:
            RecordError: a file cannot be written.
        """
        text, binary, table = (Path(f"{stem}.{end}") for end in ("json", "h5", "csv"))
        try:
            text.parent.mkdir(parents=True, exist_ok=True)
            write_whole(text, _as_json(self))
            write_whole(binary, _as_hdf5(self))
            write_csv(table, self.columns)
        except (OSError, MlobsError) as error:
            raise RecordError(f"cannot write the result {stem}: {error}") from error
        return text, binary, table

    @classmethod
    def read(cls, path: Path | str) -> Result:
        """Read a result from ``.json`` or ``.h5``.

        Args:
            path: path of a file written by :meth:`write`.

        Raises:
            RecordError: the file is missing or damaged, or holds no result.
        """
        if not Path(path).is_file():
            raise RecordError(f"{path}: no such file; -o says where commands write their results")
        try:
            return (_from_hdf5 if Path(path).suffix == ".h5" else _from_json)(Path(path))
        except UNREADABLE as error:
            raise RecordError(
                f"{path}: holds no result of mlobs ({error}); give the .json or .h5 file that a "
                "command wrote with -o, or repeat the command"
            ) from error

    def to_pandas(self) -> DataFrame:
        """Return :attr:`columns`, the table of ``.csv``, as a pandas data frame.

        Raises:
            RecordError: pandas is not installed.
        """
        return data_frame(self.columns)

    @property
    def columns(self) -> dict[str, list[str | float]]:
        """Columns of a table of curves, points and comparisons, or else of numbers.

        NaN stands for unknown values.
        """
        parts: list[Curve | Points | Parity] = [*self.curves, *self.points, *self.parities]
        rows = [row for part in parts for row in _rows(part)] or [
            {"quantity": name, "unit": number.unit, "value": number.value, "error": number.error}
            for name, number in self.numbers.items()
        ]
        known = {name for row in rows for name in row}
        headers = (*_NAMES, *dict.fromkeys(map(_x_header, parts)), *_VALUES)
        chosen = [header for header in headers if header in known]
        return {header: [row.get(header, math.nan) for row in rows] for header in chosen}


_NAMES: Final = ("quantity", "unit", "curve")
_VALUES: Final = ("value", "error", "member spread", "window bias", "independent samples")


def _x_header(one: Curve | Points | Parity) -> str:
    if isinstance(one, Parity):
        return "reference"
    return one.x_name if one.x_unit == "1" else f"{one.x_name} ({one.x_unit})"


def _rows(one: Curve | Points | Parity) -> list[dict[str, str | float]]:
    names = {"quantity": one.quantity, "unit": one.unit, "curve": one.label}
    if isinstance(one, Parity):
        columns = {_x_header(one): one.reference, "value": one.prediction}
    else:
        columns = {_x_header(one): one.x, "value": one.mean, "error": one.error, **_more(one)}
    values = zip(*(column.tolist() for column in columns.values()), strict=True)
    return [{**names, **dict(zip(columns, row, strict=True))} for row in values]


def _more(one: Curve | Points) -> dict[str, Array]:
    """Return the columns that only curves or only points have."""
    if isinstance(one, Points):
        counts = [estimate.n_independent for estimate in one.y]
        return {"independent samples": np.array(counts, dtype=np.float64)}
    unknown, spread, bias = np.full(len(one.x), np.nan), one.spread, one.window_bias
    return {
        "member spread": unknown if spread is None else spread,
        "window bias": unknown if bias is None else bias.astype(np.float64),
    }


def _as_json(result: Result) -> bytes:
    content = _encode(result, lambda array, _: _plain(np.asarray(array, np.float64).tolist()), "")
    text = json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False)
    # names of files that are not UTF-8 become escapes of JSON
    return f"{text}\n".encode(errors="backslashreplace")


def _from_json(path: Path) -> Result:
    return _decode(json.loads(path.read_text(encoding="utf-8")), _numbers)


def _as_hdf5(result: Result) -> bytes:
    """Encode arrays as data sets, and everything else as JSON in the data set ``result``."""
    import h5py

    memory = io.BytesIO()
    with h5py.File(memory, "w") as file:

        def keep(array: Array, where: str) -> str:
            file.create_dataset(where, data=np.asarray(array, np.float64))
            return where

        file.create_dataset("result", data=json.dumps(_encode(result, keep, "")))
    return memory.getvalue()


def _from_hdf5(path: Path) -> Result:
    import h5py

    with h5py.File(path, "r") as file:
        return _decode(json.loads(file["result"][()]), lambda where: np.asarray(file[where][()]))


def _encode(value: Any, keep: Callable[[Array, str], Any], where: str) -> Any:
    """Encode as mappings, lists and plain values, without None; ``keep`` encodes arrays."""
    if isinstance(value, np.ndarray):
        return keep(value, where)
    if isinstance(value, Result | Curve | Points | Tensor | Parity | Provenance | Estimate):
        named = {one.name: getattr(value, one.name) for one in fields(value)}
        head = {"format": FORMAT} if isinstance(value, Result) else {}
        known = {name: one for name, one in named.items() if one is not None}
        return {**head, **_encode(known, keep, where)}
    if isinstance(value, Mapping):
        return {str(name): _encode(one, keep, f"{where}/{name}") for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [_encode(one, keep, f"{where}/{i}") for i, one in enumerate(value)]
    return _plain(value.item() if isinstance(value, np.generic) else value)


def _plain(value: Any) -> Any:
    """Replace NaN by null and infinity by a mapping, because JSON has neither."""
    if isinstance(value, list):
        return [_plain(one) for one in value]
    if not isinstance(value, float) or math.isfinite(value):
        return value
    return None if math.isnan(value) else {"float": str(value)}


def _number(value: Any) -> Any:
    """Undo :func:`_plain` for one value."""
    if value is None:
        return math.nan
    return float(value["float"]) if isinstance(value, dict) else value


def _numbers(value: Any) -> Array:
    def plain(value: Any) -> Any:
        return [plain(one) for one in value] if isinstance(value, list) else _number(value)

    return np.asarray(plain(value), dtype=np.float64)


def _decode(content: dict[str, Any], load: Callable[[Any], Array]) -> Result:
    if content["format"] != FORMAT:
        raise ValueError(f"its format is {content['format']!r}, not {FORMAT!r}")
    origin = content["provenance"]
    return Result(
        content["title"],
        tuple(_curve(one, load) for one in content["curves"]),
        tuple(_points(one, load) for one in content["points"]),
        {name: _estimate(one) for name, one in content["numbers"].items()},
        tuple(_tensor(one, load) for one in content["tensors"]),
        tuple(_parity(one, load) for one in content["parities"]),
        Provenance(tuple(origin["command"]), origin["versions"], origin["inputs"]),
    )


def _curve(content: dict[str, Any], load: Callable[[Any], Array]) -> Curve:
    names = ("x", *ARRAYS)
    arrays = {name: load(content[name]) for name in names if name in content}
    if "resolution" in content:
        content["resolution"] = _number(content["resolution"])
    return Curve(**{**content, **arrays, "details": _details(content)})


def _points(content: dict[str, Any], load: Callable[[Any], Array]) -> Points:
    y = tuple(map(_estimate, content["y"]))
    return Points(**{**content, "x": load(content["x"]), "y": y, "details": _details(content)})


def _tensor(content: dict[str, Any], load: Callable[[Any], Array]) -> Tensor:
    arrays = {name: load(content[name]) for name in ("values", "errors")}
    return Tensor(**{**content, **arrays})


def _parity(content: dict[str, Any], load: Callable[[Any], Array]) -> Parity:
    arrays = {name: load(content[name]) for name in ("reference", "prediction")}
    return Parity(**{**content, **arrays, "details": _details(content)})


def _details(content: Mapping[str, Any]) -> dict[str, str | float]:
    return {name: _number(value) for name, value in content["details"].items()}


def _estimate(content: Mapping[str, Any]) -> Estimate:
    return Estimate(**{name: _number(value) for name, value in content.items()})
