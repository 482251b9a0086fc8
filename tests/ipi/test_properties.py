"""Properties of i-PI come back in atomic units, as one history."""

from __future__ import annotations

import logging
import sys
from pathlib import Path

import numpy as np
import pytest

from mlobs_client.errors import RecordError
from mlobs_client.ipi import read_properties

HEADER = """# column   1     --> step : The current simulation time step.
# column   2     --> time{picosecond} : The elapsed simulation time.
# column   3     --> kinetic_cv(H){electronvolt} : The kinetic energy: an estimator.
# cols.    4-6   --> atom_x{angstrom}(atom=0) : The position of an atom.
"""


def row(step: int) -> str:
    return f"  {step:.8e}   {step * 0.0005:.8e}   2.72113860e+01   1.0e+00 2.0e+00 {step:.8e} \n"


def write(path: Path, steps: list[int], header: str = HEADER) -> Path:
    path.write_text(header + "".join(map(row, steps)))
    return path


def test_values_are_in_atomic_units_under_the_names_of_the_input(tmp_path: Path) -> None:
    properties = read_properties(write(tmp_path / "a.out", [0, 2]))
    assert list(properties.values) == ["step", "time", "kinetic_cv(H)", "atom_x(atom=0)"]
    assert properties.units["kinetic_cv(H)"] == "electronvolt"
    # literature values; the printed digits allow 1e-7
    np.testing.assert_allclose(properties["time"], [0.0, 0.001 / 2.4188843e-5], rtol=1e-7)
    np.testing.assert_allclose(properties["kinetic_cv(H)"], [1.0, 1.0], rtol=1e-7)
    np.testing.assert_allclose(
        properties["atom_x(atom=0)"], np.array([[1, 2, 0], [1, 2, 2]]) * 1.8897261, rtol=1e-12
    )


def test_a_table_of_pandas_has_a_column_for_each_number(tmp_path: Path) -> None:
    pytest.importorskip("pandas")
    properties = read_properties(str(write(tmp_path / "a.out", [0, 2])))
    table = properties.to_pandas()
    vector = [f"atom_x(atom=0)[{k}]" for k in range(3)]
    assert list(table) == ["step", "time", "kinetic_cv(H)", *vector]
    assert (table["time"] == properties["time"]).all()
    assert (table[vector].to_numpy() == properties["atom_x(atom=0)"]).all()


def test_without_pandas_there_is_one_clear_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pandas", None)
    properties = read_properties(write(tmp_path / "a.out", [0, 2]))
    with pytest.raises(RecordError, match="to_pandas needs pandas; install it: pip install pandas"):
        properties.to_pandas()


def test_steps_that_were_done_twice_count_as_they_were_done_last(tmp_path: Path) -> None:
    path = write(tmp_path / "a.out", [0, 2, 4, 6])
    with path.open("a") as file:  # continued from step 3, killed before it came to step 6
        file.write(row(4).replace("2.72113860e+01", "5.44227720e+01"))
    properties = read_properties(path)
    assert properties["step"].tolist() == [0, 2, 4]
    np.testing.assert_allclose(properties["kinetic_cv(H)"], [1, 1, 2], rtol=1e-7)


def test_continued_files_are_joined_even_without_header(tmp_path: Path) -> None:
    first = write(tmp_path / "a.out", [0, 2, 4, 6])
    second = write(tmp_path / "b.out", [4, 6, 8], header="")
    assert read_properties(first, second)["step"].tolist() == [0, 2, 4, 6, 8]


def test_two_headers_in_one_file_have_units_of_their_own(tmp_path: Path) -> None:
    first = write(tmp_path / "a.out", [0, 2])
    femtoseconds = HEADER.replace("picosecond", "femtosecond")
    second = write(tmp_path / "b.out", [4, 6], femtoseconds)
    second.write_text(second.read_text().replace("2.00000000e-03", "2.00000000e+00"))  # step 4
    joined = tmp_path / "joined.out"
    joined.write_text(first.read_text() + second.read_text())
    properties = read_properties(joined)
    assert properties["step"].tolist() == [0, 2, 4, 6]
    np.testing.assert_allclose(properties["kinetic_cv(H)"], 1.0, rtol=1e-7)  # once, not twice
    np.testing.assert_allclose(properties["time"][:3], np.array([0, 1, 2]) * 41.341374, rtol=1e-7)
    joined.write_text(first.read_text() + HEADER.replace("kinetic_cv(H)", "potential") + row(4))
    with pytest.raises(RecordError, match=r"joined\.out:7: has other columns"):
        read_properties(joined)


@pytest.mark.parametrize("lost", [1, 5, 30, 60])
def test_a_cut_last_line_is_left_out_with_a_warning(tmp_path: Path, lost: int, caplog) -> None:
    path = write(tmp_path / "a.out", [0, 2, 4])
    path.write_text(path.read_text()[:-lost])
    with caplog.at_level(logging.WARNING):
        assert read_properties(path)["step"].tolist() == [0, 2]
    assert "a.out" in caplog.text


def test_a_run_that_continued_behind_a_cut_line_is_read(tmp_path: Path, caplog) -> None:
    path = write(tmp_path / "a.out", [0, 2, 4])
    path.write_text(path.read_text()[:-30] + row(4) + row(6))
    with caplog.at_level(logging.WARNING):
        assert read_properties(path)["step"].tolist() == [0, 2, 4, 6]
    assert "a.out:7" in caplog.text


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "no header"),
        (HEADER + "  1.0 2.0\n" + row(2), r"a\.out:5: has 2 numbers instead of 6"),
        (HEADER + row(2).replace("1.0e+00", "1.0ee00"), r"a\.out:5: .*1\.0ee00"),
        (HEADER + row(2).replace("1.00000000e-03", "nan"), r"a\.out:5: time is nan; remove this"),
        (
            HEADER.replace("column   1 ", "column   0 ") + row(2),
            r"a\.out: header: column 0-0 is invalid",
        ),
        (
            HEADER.replace("column   1 ", f"column {5000 * '1'} "),
            r"a\.out: header: column: '1{40}' ",
        ),
        (HEADER.replace("picosecond", "fortnight") + row(2), "unknown unit 'fortnight' of time"),
    ],
)
def test_what_makes_no_sense_is_named_with_its_line(
    tmp_path: Path, content: str, said: str
) -> None:
    (tmp_path / "a.out").write_text(content)
    with pytest.raises(RecordError, match=said):
        read_properties(tmp_path / "a.out")


def test_files_that_cannot_be_joined_are_refused(tmp_path: Path) -> None:
    header = "# column   1     --> potential : The energy.\n"
    for name in "ab":
        (tmp_path / name).write_text(header + "  1.0\n")
    with pytest.raises(RecordError, match="add step to <properties>"):
        read_properties(tmp_path / "a", tmp_path / "b")
    write(tmp_path / "c", [0])
    with pytest.raises(RecordError, match="other columns"):
        read_properties(tmp_path / "c", tmp_path / "a")


def test_a_property_that_is_not_there_is_named_with_those_that_are(tmp_path: Path) -> None:
    properties = read_properties(write(tmp_path / "a.out", [0]))
    with pytest.raises(RecordError, match=r"no 'potential'; they have step, time"):
        properties["potential"]
