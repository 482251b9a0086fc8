"""The header is what HDF5 says that it should be."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest

from mlobs_client.errors import RecordError
from mlobs_client.record.columns import row_type
from mlobs_client.record.header import FORMAT, make_header, read_header


@pytest.mark.parametrize("length", [0, 10, 2000, 600000])
def test_a_header_of_any_length_is_read_back_and_counts_rows(tmp_path: Path, length: int) -> None:
    row = row_type({"dipole": (3,), "step": ()})
    content = make_header(row, {"format": FORMAT, "client": "x" * length})
    path = tmp_path / "a.h5"
    path.write_bytes(content)
    header = read_header(path)
    assert (header.row, header.data, header.attributes["client"]) == (
        row,
        len(content),
        "x" * length,
    )
    rows = np.zeros(1000, row)
    rows["step"] = np.arange(1000)
    with path.open("r+b") as file:
        file.seek(header.data)
        file.write(rows.tobytes())
        for at, value in header.count(1000):
            file.seek(at)
            file.write(value)
    with h5py.File(path) as file:
        np.testing.assert_array_equal(file["observables"][:], rows)


def test_a_description_of_more_than_a_mebibyte_is_refused() -> None:
    with pytest.raises(RecordError, match="at most 1048576 are possible"):
        make_header(row_type({"step": ()}), {"client": "x" * 2000000})


def test_an_hdf5_file_of_somebody_else_is_refused(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["observables"] = np.zeros(3)
    with pytest.raises(RecordError, match="not a record"):
        read_header(tmp_path / "a.h5")


def test_a_later_format_is_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "a.h5").write_bytes(
        make_header(row_type({"step": ()}), {"format": "mlobs record 9"})
    )
    with pytest.raises(RecordError, match="'mlobs record 9'"):
        read_header(tmp_path / "a.h5")
