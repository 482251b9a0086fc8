"""A result comes back from its files as it was, to the last bit."""

from __future__ import annotations

import json
import math
import tempfile
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

import h5py
import hypothesis.extra.numpy as hnp
import hypothesis.strategies as st
import numpy as np
import pytest
from csv_files import read_csv
from hypothesis import HealthCheck, given, settings

from mlobs_client.errors import RecordError
from mlobs_client.results import Curve, Estimate, Parity, Points, Provenance, Result, Tensor

WORDS = st.text(max_size=8)  # of all characters
NUMBERS = st.floats()  # also NaN, infinities, -0.0
DETAILS = st.dictionaries(WORDS, WORDS | NUMBERS | st.integers(-(2**62), 2**62), max_size=3)


def arrays(*shape: int) -> st.SearchStrategy[np.ndarray]:
    return hnp.arrays(np.float64, shape, elements=NUMBERS)


@st.composite
def curves(draw: st.DrawFn) -> Curve:
    n_points, n_blocks = draw(st.integers(1, 4)), draw(st.integers(2, 3))
    return Curve(
        *(draw(WORDS) for _ in range(4)),
        np.cumsum(draw(hnp.arrays(np.float64, n_points, elements=st.floats(0.5, 1e3)))),
        draw(arrays(n_blocks, n_points)),
        draw(st.none() | arrays(2, n_points)),
        draw(st.none() | st.floats(0.1, 1e3)),
        draw(st.none() | arrays(2, n_points)),
        *(draw(WORDS) for _ in range(2)),
        draw(DETAILS),
        draw(WORDS),
    )


@st.composite
def estimates(draw: st.DrawFn, unit: str = "K") -> Estimate:
    value, error, n_independent = (draw(NUMBERS) for _ in range(3))
    freedom = draw(st.none() | NUMBERS)
    return Estimate(value, error, unit, n_independent, draw(WORDS), freedom, draw(WORDS))


@st.composite
def points(draw: st.DrawFn) -> Points:
    y = draw(st.lists(estimates(), min_size=1, max_size=3))
    names = (draw(WORDS) for _ in range(3))
    texts = (draw(WORDS), draw(DETAILS), draw(st.booleans()))
    return Points(*names, draw(arrays(len(y))), tuple(y), *texts)


@st.composite
def tensors(draw: st.DrawFn) -> Tensor:
    shape = draw(st.sampled_from([(), (3,), (2, 3, 3)]))
    return Tensor(draw(WORDS), draw(WORDS), draw(arrays(*shape)), draw(arrays(*shape)), draw(WORDS))


@st.composite
def parities(draw: st.DrawFn) -> Parity:
    n = draw(st.integers(1, 3))
    names = (draw(WORDS), draw(WORDS))
    return Parity(*names, draw(arrays(n)), draw(arrays(n)), draw(WORDS), draw(DETAILS))


TABLES = st.dictionaries(WORDS, WORDS, max_size=2)
RESULTS = st.builds(
    Result,
    WORDS,
    st.lists(curves(), max_size=2).map(tuple),
    st.lists(points(), max_size=2).map(tuple),
    st.dictionaries(WORDS, estimates(), max_size=2),
    st.lists(tensors(), max_size=2).map(tuple),
    st.lists(parities(), max_size=2).map(tuple),
    st.builds(Provenance, st.lists(WORDS, max_size=3).map(tuple), TABLES, TABLES),
)


def assert_same(one: Any, other: Any) -> None:
    """All fields, of the same types; NaN equal, numbers bit by bit."""
    assert type(one) is type(other)
    if is_dataclass(one):
        for field in fields(one):
            assert_same(getattr(one, field.name), getattr(other, field.name))
    elif isinstance(one, np.ndarray):
        assert (one.dtype, one.shape) == (other.dtype, other.shape)
        assert_same(one.ravel().tolist(), other.ravel().tolist())
    elif isinstance(one, Mapping):
        assert list(one) == list(other)
        assert_same(list(one.values()), list(other.values()))
    elif isinstance(one, list | tuple):
        assert len(one) == len(other)
        for a, b in zip(one, other, strict=True):
            assert_same(a, b)
    elif isinstance(one, float) and math.isnan(one):
        assert math.isnan(other)
    elif isinstance(one, float):
        assert one.hex() == other.hex()  # tells 0.0 and -0.0 apart
    else:
        assert one == other


# arithmetic with infinities, in the table for people, warns
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(written=RESULTS)
def test_a_result_comes_back_from_json_and_from_hdf5_as_it_was(written: Result) -> None:
    with tempfile.TemporaryDirectory() as folder:
        text, binary, _ = written.write(Path(folder) / "result")
        assert_same(written, Result.read(text))
        assert_same(written, Result.read(binary))


def example() -> Result:
    x = np.array([1.0, 2.0, 3.0])
    curve = Curve("density", "1/eV", "energy", "eV", x, np.array([x, 3.0 * x]), label="A")
    found = (Estimate(0.5, 0.1, "K", 30.0), Estimate(0.7, math.nan, "K", 3.0, "too short"))
    return Result(
        "example",
        (curve,),
        (Points("temperature", "field", "V/angstrom", x[:2], found, "B"),),
    )


def test_the_table_has_a_column_for_each_x_and_nothing_where_it_does_not_apply(
    tmp_path: Path,
) -> None:
    rows = read_csv(example().write(tmp_path / "deep" / "er")[2])
    assert list(rows[0]) == [
        "quantity", "unit", "curve", "energy (eV)", "field (V/angstrom)", "value", "error",
        "member spread", "window bias", "independent samples",
    ]  # fmt: skip
    assert [row["value"] for row in rows] == ["2", "4", "6", "0.5", "0.7"]
    assert [row["energy (eV)"] for row in rows] == ["1", "2", "3", "", ""]
    assert [row["error"] for row in rows[3:]] == ["0.1", ""]
    # blocks 1 and 3: sem 1, and Student's t of one degree of freedom is 1.8373
    assert float(rows[0]["error"]) == pytest.approx(1.8373, rel=1e-4)


def test_numbers_alone_are_the_table(tmp_path: Path) -> None:
    alone = Result("one", numbers={"length": Estimate(1.5, 0.25, "bohr", 40)})
    (row,) = read_csv(alone.write(tmp_path / "one")[2])
    assert row == {"quantity": "length", "unit": "bohr", "value": "1.5", "error": "0.25"}


def test_the_table_is_also_one_of_pandas() -> None:
    pytest.importorskip("pandas")
    table, columns = example().to_pandas(), example().columns
    assert list(table) == list(columns)
    for name, expected in columns.items():
        np.testing.assert_array_equal(table[name].to_numpy(), expected)


def test_json_is_valid_for_any_reader(tmp_path: Path) -> None:
    path = example().write(tmp_path / "x")[0]
    content = json.loads(path.read_text(encoding="utf-8"), parse_constant=pytest.fail)
    assert content["points"][0]["y"][1]["error"] is None


def test_arrays_of_hdf5_are_found_by_their_names(tmp_path: Path) -> None:
    with h5py.File(example().write(tmp_path / "x")[1]) as file:
        np.testing.assert_array_equal(file["curves/0/blocks"][()], [[1, 2, 3], [3, 6, 9]])


def test_what_is_no_result_is_refused_with_its_name(tmp_path: Path) -> None:
    for name, content in (("a.json", b"{}"), ("b.json", b"\xff"), ("c.h5", b"no HDF5")):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(RecordError, match=f"{name}: holds no result of mlobs"):
            Result.read(tmp_path / name)
    with pytest.raises(RecordError, match=r"d\.h5: no such file"):
        Result.read(tmp_path / "d.h5")
    path = example().write(tmp_path / "x")[0]
    path.write_text(path.read_text().replace("mlobs result 1", "mlobs result 9"))
    with pytest.raises(RecordError, match="its format is 'mlobs result 9'"):
        Result.read(path)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("numbers", []),  # a list has no items
        ("curves", [{"details": "none"}]),
        ("points", [{"details": {}, "x": [1.0], "y": []}]),  # which Points itself refuses
    ],
)
def test_a_result_with_foreign_content_is_refused_with_its_name(
    tmp_path: Path, name: str, content: object
) -> None:
    path = example().write(tmp_path / "x")[0]
    changed = {**json.loads(path.read_text(encoding="utf-8")), name: content}
    path.write_text(json.dumps(changed), encoding="utf-8")
    with pytest.raises(RecordError, match=r"x\.json: holds no result of mlobs"):
        Result.read(path)


def test_points_and_tensors_that_do_not_fit_are_refused() -> None:
    one = Estimate(1.0, 0.1, "K", 30)
    with pytest.raises(RecordError, match="1 estimates need as many values of x"):
        Points("temperature", "field", "V/angstrom", np.zeros(2), (one,))
    with pytest.raises(RecordError, match="one unit"):
        Points("a", "b", "c", np.zeros(2), (one, Estimate(1.0, 0.1, "eV", 30)))
    with pytest.raises(RecordError, match=r"one shape, got \(3, 3\) and \(3,\)"):
        Tensor("epsilon", "1", np.eye(3), np.zeros(3))
