"""The dipole along a run is the same from every kind of file that can hold it."""

from __future__ import annotations

import logging
import subprocess
from pathlib import Path

import numpy as np
import pytest

from mlobs_client.errors import RecordError
from mlobs_client.ipi.series import DIPOLE, Source, read_series

DEBYE = 0.3934303  # e bohr, of the literature, seven digits
ANGSTROM = 1.88972612
DIPOLES = np.array([[1.0, 2.0, -3.0], [0.5, 0.25, 4.0], [0.0, 1.0, 2.0]])


def text(row: np.ndarray) -> str:
    return " ".join(map(str, row))


def write(path: Path, kind: str) -> Path:
    rows = list(enumerate(map(text, DIPOLES)))
    path.write_text(
        {
            "extras": "".join(f" #EXTRAS(mu)# Step:  {5 * i:10d} \n {row}\n" for i, row in rows),
            "properties": "# column 1 --> step : s\n# cols. 2-4 --> mu : m\n"
            + "".join(f"{5 * i} {row}\n" for i, row in rows),
            "extxyz": "".join(
                f'1\nProperties=species:S:1:pos:R:3 mu="{row}" pbc="F F F" Step: {5 * i}\nH 0 0 0\n'
                for i, row in rows
            ),
            "table": "# x y z\n" + "".join(f"{row}\n" for _, row in rows),
        }[kind]
    )
    return path


@pytest.mark.parametrize("kind", ["extras", "extxyz", "table"])
def test_the_unit_is_the_one_that_is_given(tmp_path: Path, kind: str, caplog) -> None:
    path = write(tmp_path / "mu", kind)
    with caplog.at_level(logging.WARNING):
        series = read_series(path, Source("mu", "debye"), DIPOLE)
    assert series.steps.tolist() == ([0, 1, 2] if kind == "table" else [0, 5, 10])
    np.testing.assert_allclose(series.values[:, 0], DIPOLES * DEBYE, rtol=2e-7)
    assert ("gives no steps; its 3 entries are taken as consecutive steps" in caplog.text) == (
        kind == "table"
    )


@pytest.mark.parametrize(
    ("kind", "unit", "factor"),
    [("extras", "atomic_unit", 1.0), ("extxyz", r"e\*angstrom", ANGSTROM)],
)
def test_a_unit_that_nobody_tells_is_said(tmp_path: Path, kind, unit, factor, caplog) -> None:
    path = write(tmp_path / "mu", kind)
    with caplog.at_level(logging.WARNING):
        series = read_series(path, Source("mu"), DIPOLE)
    np.testing.assert_allclose(series.values[:, 0], DIPOLES * factor, rtol=1e-8)
    assert f"mu: gives no unit of mu; {unit} is assumed".replace("\\", "") in caplog.text


def test_properties_tell_their_unit(tmp_path: Path, caplog) -> None:
    path = write(tmp_path / "sim.out", "properties")
    path.write_text(path.read_text().replace("mu : m", "dipole{debye} : m"))
    series = read_series(path, Source("dipole"), DIPOLE)
    np.testing.assert_allclose(series.values[:, 0], DIPOLES * DEBYE, rtol=2e-7)  # i-PI's digits
    assert not caplog.text
    with pytest.raises(RecordError, match="gives its units itself; leave out --unit debye"):
        read_series(path, Source("dipole", "debye"), DIPOLE)


def test_beads_are_found_or_one_of_them_is_said(tmp_path: Path, caplog) -> None:
    for bead in (0, 1):
        write(tmp_path / f"sim.mu_{bead}", "extras")
    both = read_series(tmp_path / "sim.mu", Source("mu", "atomic_unit"), DIPOLE)
    assert both.values.shape == (3, 2, 3)
    with caplog.at_level(logging.WARNING):
        one = read_series(tmp_path / "sim.mu_1", Source("mu", "atomic_unit"), DIPOLE)
    assert one.values.shape == (3, 1, 3)
    assert f"is one of 2 beads; for their mean, give {tmp_path / 'sim.mu'}" in caplog.text


@pytest.mark.parametrize("kind", ["extras", "properties", "extxyz"])
def test_a_name_that_is_not_there_is_told_with_those_that_are(tmp_path: Path, kind: str) -> None:
    path = write(tmp_path / "mu", kind)
    with pytest.raises(RecordError, match=r"no 'dipole'; (it has|they have) .*\bmu\b"):
        read_series(path, Source("dipole"), DIPOLE)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("0.1 0.2\n", "has 2 columns; a table of a dipole has 3"),
        ("CRYST1 10\n", "holds neither extras nor properties of i-PI, nor"),
        (" #EXTRAS(mu)# Step: 0 \n 1 2 3 4\n", r"mu has the shape \(4,\) at each step"),
    ],
)
def test_other_contents_are_refused(tmp_path: Path, content: str, said: str) -> None:
    (tmp_path / "mu").write_text(content)
    with pytest.raises(RecordError, match=said):
        read_series(tmp_path / "mu", Source("mu"), DIPOLE)


def test_only_what_can_be_a_dipole_is_offered(tmp_path: Path) -> None:
    path = tmp_path / "md.extxyz"
    comment = 'Properties=species:S:1:pos:R:3 Lattice="9 0 0 0 9 0 0 0 9" energy=-1 pbc="T T T"'
    path.write_text(f'1\n{comment} d="1 2 3"\nH 0 0 0\n')
    with pytest.raises(RecordError, match=r"no 'mu'; it has d: choose one with --key$"):
        read_series(path, Source("mu"), DIPOLE)
    path.write_text(f"1\n{comment}\nH 0 0 0\n")
    with pytest.raises(RecordError, match=r"no 'mu'; nothing else there can be a dipole$"):
        read_series(path, Source("mu"), DIPOLE)


def test_the_time_column_of_a_table_is_left_out_by_the_given_line(tmp_path: Path) -> None:
    rows = "".join(f"{0.5 * i} {text(row)}\n" for i, row in enumerate(DIPOLES))
    (tmp_path / "mu4.txt").write_text("# t x y z\n" + rows)
    with pytest.raises(RecordError, match=r"4 columns; .*leave it out: awk") as refused:
        read_series(tmp_path / "mu4.txt", Source("dipole", "debye"), DIPOLE)
    subprocess.run(str(refused.value).split("out: ")[1], shell=True, check=True)
    read = read_series(tmp_path / "mu4-dipole.txt", Source("dipole", "debye"), DIPOLE)
    np.testing.assert_allclose(read.values[:, 0], DIPOLES * DEBYE, rtol=2e-7)
