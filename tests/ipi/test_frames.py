"""Whole frames are found, whatever a kill has done to the file."""

from __future__ import annotations

import logging
import shutil
import subprocess
from pathlib import Path

import pytest

from mlobs_client.errors import RecordError
from mlobs_client.ipi.frames import find_frames

HEADS = {
    "xyz": "# CELL(abcABC): 10.0 10.0 10.0 90.0 90.0 90.0 Step: {:10d} positions{{angstrom}}\n",
    "extxyz": 'Lattice="9 0 0 0 9 0 0 0 9" Properties=species:S:1:pos:R:3 c="Step: {:10d}"\n',
    "bare": "{:d}\n",
}


def frame(step: int, kind: str = "xyz") -> str:
    return f"3\n{HEADS[kind].format(step)}" + "".join(
        f"       {label} {step + i:.5e} 0.00000e+00 1.00000e+00\n" for i, label in enumerate("OHH")
    )


@pytest.mark.parametrize("kind", ["xyz", "extxyz"])
def test_frames_are_read_from_where_they_are(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "a.xyz"
    path.write_text("".join(frame(step, kind) for step in (0, 5, 10)))
    places = find_frames(path)
    assert [(place.step, place.line, place.n_atoms) for place in places] == [
        (0, 2, 3),
        (5, 7, 3),
        (10, 12, 3),
    ]
    with path.open("rb") as file:
        for place in reversed(places):
            comment, lines = place.read(file)
            assert f"Step: {place.step:10d}" in comment
            assert float(lines[2].split()[1]) == place.step + 2


def test_a_file_cut_at_any_byte_gives_the_whole_frames_before(tmp_path: Path, caplog) -> None:
    path = tmp_path / "a.xyz"
    frames = [frame(step) for step in (0, 5)]
    content = "".join(frames)
    for length in range(2, len(content)):
        path.write_text(content[:length])
        caplog.clear()
        with caplog.at_level(logging.WARNING):
            whole = len(find_frames(path))
        assert whole == (length + 1) // len(frames[0])  # a last newline may be missing
        torn_atoms = length - whole * len(frames[0]) > len("3\n" + HEADS["xyz"].format(0))
        assert ("truncated and left out" in caplog.text) >= torn_atoms


@pytest.mark.parametrize("comment", ["# CELL{H}: 9 0 0 0 9 0 0 0 9 positions{angstrom}", ""])
def test_a_file_that_somebody_wrote_may_lack_the_newline_at_its_end(
    tmp_path: Path, comment: str, caplog
) -> None:
    path = tmp_path / "a.xyz"
    path.write_text(f"2\n{comment}\nO 0.0 0.0 0.0\nH 0.757 0.586 0")
    (place,) = find_frames(path)
    with path.open("rb") as file:
        assert place.read(file)[1][-1] == "H 0.757 0.586 0"
    assert caplog.text == ""


@pytest.mark.parametrize("kind", ["xyz", "extxyz"])
def test_a_run_that_continued_behind_a_cut_at_any_byte_is_read(
    tmp_path: Path, kind: str, caplog
) -> None:
    path = tmp_path / "a.xyz"
    whole, cut = frame(0, kind), frame(5, kind)
    for length in range(len(cut)):
        path.write_text(whole + cut[:length] + frame(5, kind) + frame(10, kind))
        steps = [place.step for place in find_frames(path)]
        assert steps == [0, 5, 10], length


def test_comments_that_tell_nothing_are_allowed(tmp_path: Path) -> None:
    path = tmp_path / "a.xyz"
    path.write_text("1\n\nH 0 0 0\n1\n\nH 0 0 1\n\n")
    assert [place.step for place in find_frames(path)] == [-1, -1]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", r"a\.xyz:1: '' is not a number of atoms"),
        ("CRYST1 10.0\n", r"a\.xyz:1: 'CRYST1 10.0'.*format='xyz'"),
        ("0\n\n", r"a\.xyz:1: '0'"),
        ("²\n\nH 0 0 0\n", r"a\.xyz:1: '²' is not a number of atoms"),
        ("99999999999999999999\n\nH 0 0 0\n", r"a\.xyz:1: '9{20}' is not a number of atoms"),
        (f"{5000 * '9'}\n\nH 0 0 0\n", r"a\.xyz:1: '9{40}' is not a number of atoms"),
        (frame(10**19), r"a\.xyz:2: Step: '10{19}' is not a whole number"),
        (
            frame(0).replace("Step:          0", f"Step: {5000 * '9'}"),
            r"a\.xyz:2: Step: '9{40}' \.\.\. is no",
        ),
        (frame(0) + frame(5).replace("3\n", "4\n", 1), r"a\.xyz:6: '4' where 3 atoms"),
    ],
)
def test_other_files_are_refused_with_line(tmp_path: Path, content: str, said: str) -> None:
    (tmp_path / "a.xyz").write_text(content)
    with pytest.raises(RecordError, match=said):
        find_frames(tmp_path / "a.xyz")


@pytest.mark.skipif(shutil.which("iconv") is None, reason="needs iconv, which the message names")
@pytest.mark.parametrize("place", ["comment", "atom"])
def test_a_frame_that_is_not_utf_8_is_named_and_the_remedy_works(
    place: str, tmp_path: Path
) -> None:
    path = tmp_path / "a.xyz"
    good, bad = frame(0).encode(), frame(5).encode()
    old = b"# CELL" if place == "comment" else b"H "
    path.write_bytes(good + bad.replace(old, old + b"\xff ", 1))
    first, second = find_frames(path)
    with path.open("rb") as file:
        first.read(file)
        with pytest.raises(RecordError, match=rf"a\.xyz:{second.line}: .* UTF-8 .*b'\\xff'.*iconv"):
            second.read(file)
    subprocess.run(
        ["iconv", "-f", "latin1", "-t", "utf-8", "-o", path.with_suffix(".new"), path], check=True
    )
    with path.with_suffix(".new").open("rb") as file:
        assert "ÿ" in "".join(find_frames(path.with_suffix(".new"))[1].read(file)[place == "atom"])


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(RecordError, match=r"no\.xyz: cannot be read: No such file"):
        find_frames(tmp_path / "no.xyz")
