"""Extras come back as observables with their own shapes."""

from __future__ import annotations

import json
import logging
from pathlib import Path

import numpy as np
import pytest

from mlobs_client.errors import RecordError
from mlobs_client.ipi import read_bead_extras, read_extras

BORN = np.random.default_rng(5).normal(size=(2, 3, 3))  # [I, i, j]


def block(key: str, step: int, text: str, kind: str = "EXTRAS") -> str:
    return f" #{kind}({key})# Step:  {step:10d} \n{text}\n"


def rows(table: np.ndarray) -> str:
    return "\n".join(" ".join(f"{x:16.8e}" for x in row) for row in np.atleast_2d(table))


def as_bec(born: np.ndarray) -> list[list[float]]:
    """Row (atom, displacement), column dipole component: written out, atom by atom."""
    return [[born[n, i, j] for i in range(3)] for n in range(len(born)) for j in range(3)]


def test_a_vector_a_number_and_a_text(tmp_path: Path) -> None:
    for name, text in (("dipole", "  1.0  2.0 -3.0"), ("energy_spread", "  0.5"), ("note", "\nhi")):
        (tmp_path / name).write_text(block(name, 0, text) + block(name, 10, text))
    assert read_extras(tmp_path / "dipole").values["dipole"].tolist() == [[1, 2, -3]] * 2
    assert read_extras(tmp_path / "energy_spread").values["energy_spread"].tolist() == [0.5] * 2
    note = read_extras(tmp_path / "note")
    assert note.texts["note"].tolist() == ["hi", "hi"]
    assert note.steps.tolist() == [0, 10]


def test_born_charges_come_in_our_order(tmp_path: Path) -> None:
    (tmp_path / "bec").write_text(block("BEC", 0, rows(np.array(as_bec(BORN)))))
    found = read_extras(tmp_path / "bec").values["born_charges"]
    np.testing.assert_allclose(found, BORN[None], rtol=1e-8)  # nine printed digits


def test_names_and_shapes_are_ours_even_for_one_member(tmp_path: Path) -> None:
    (tmp_path / "a").write_text(block("committee_dipole", 0, "  1.0  2.0  3.0"))
    (tmp_path / "b").write_text(block("committee_pot", 0, "  1.0"))
    (tmp_path / "c").write_text(block("polarizability", 0, rows(BORN[0])))
    assert read_extras(tmp_path / "a").values["committee_dipoles"].shape == (1, 1, 3)
    assert read_extras(tmp_path / "b").values["committee_energies"].shape == (1, 1)
    np.testing.assert_allclose(
        read_extras(tmp_path / "c").values["polarizability"][0], BORN[0], rtol=1e-8
    )


def test_row_and_record_may_be_in_one_file(tmp_path: Path) -> None:
    text = "\nobservables-1.h5\n  1.20000000e+01"
    (tmp_path / "a").write_text(block("record_row,record", 0, text))
    extras = read_extras(tmp_path / "a")
    assert extras.values["record_row"].tolist() == [12.0]
    assert extras.texts["record"].tolist() == ["observables-1.h5"]


def test_extras_of_a_force_component_hold_all_beads(tmp_path: Path) -> None:
    text = block("dipole", 0, rows(BORN[0, :2]), "EXTRAS_COMPONENT_RAW")
    (tmp_path / "a").write_text(text.replace("Step:           0 ", "Step: 0  Bead:  0  "))
    assert read_extras(tmp_path / "a").values["dipole"].shape == (1, 2, 3)


def test_raw_extras_have_all_digits(tmp_path: Path) -> None:
    texts = [
        json.dumps({"dipole": (bead + BORN[0, 0]).tolist(), "BEC": as_bec(BORN), "record": "a.h5"})
        for bead in (0, 1)
    ]
    table = {"dipole": [[0.0], [0.0]], "raw": texts}
    for bead in (0, 1):
        (tmp_path / f"raw_{bead}").write_text(block("raw", 0, str(table)))
    extras = read_bead_extras(tmp_path / "raw")
    np.testing.assert_array_equal(extras.values["dipole"][0], BORN[0, 0] + [[0], [1]])
    np.testing.assert_array_equal(extras.values["born_charges"][0, 1], BORN)
    assert extras.texts["record"].tolist() == [["a.h5", "a.h5"]]


def test_beads_of_a_continued_run_come_as_step_and_bead(tmp_path: Path) -> None:
    for bead, steps in ((0, [0, 5, 10, 5, 10]), (1, [0, 5, 10, 5])):
        text = "".join(block("dipole", s, f"{bead} {i} 0") for i, s in enumerate(steps))
        (tmp_path / f"run.dipole_{bead}").write_text(text)
    extras = read_bead_extras(tmp_path / "run.dipole")
    assert extras.steps.tolist() == [0, 5]
    assert extras.values["dipole"].tolist() == [[[0, 0, 0], [1, 0, 0]], [[0, 3, 0], [1, 3, 0]]]


def test_steps_that_not_all_beads_have_are_left_out_with_a_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "run.dipole_0").write_text(
        block("dipole", 0, "1 2 3") + block("dipole", 5, "1 2 3")
    )
    (tmp_path / "run.dipole_1").write_text(block("dipole", 0, "1 2 3"))
    assert read_bead_extras(tmp_path / "run.dipole").steps.tolist() == [0]
    assert "run.dipole: 1 steps that not all beads have are left out" in caplog.text


def test_cut_extras_are_left_out_with_a_warning(tmp_path: Path, caplog) -> None:
    path = tmp_path / "bec"
    content = "".join(block("BEC", s, rows(np.array(as_bec(BORN)))) for s in (0, 1, 2))
    head = len(content) // 3 * 2
    for length in range(head + 1, len(content), 7):
        path.write_text(content[:length])
        caplog.clear()
        with caplog.at_level(logging.WARNING):
            assert read_extras(path).steps.tolist() == [0, 1]
        # without its first line, the last block cannot be told from a line that was cut
        assert "truncated and left out" in caplog.text


def test_a_run_that_continued_behind_a_cut_is_read(tmp_path: Path) -> None:
    path = tmp_path / "bec"
    blocks = [block("BEC", s, rows((1 + s) * np.array(as_bec(BORN)))) for s in (0, 1, 2, 3)]
    for length in range(1, len(blocks[2]), 7):
        path.write_text(blocks[0] + blocks[1] + blocks[2][:length] + blocks[2] + blocks[3])
        extras = read_extras(path)
        assert extras.steps.tolist() == [0, 1, 2, 3]
        np.testing.assert_allclose(extras.values["born_charges"][2], 3 * BORN, rtol=1e-8)


def test_other_files_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("nothing\n")
    with pytest.raises(RecordError, match="a: no extras of i-PI"):
        read_extras(tmp_path / "a")
    (tmp_path / "b").write_text(block("raw", 0, "{'raw': ['no JSON']}"))
    with pytest.raises(RecordError, match="raw extras of step 0"):
        read_extras(tmp_path / "b")
    with pytest.raises(RecordError, match="cannot be read as extras"):
        read_extras(tmp_path / "c")
