"""Which files have been written since."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from mlobs_client.launch.stamps import is_new, stamps


def append(path: Path) -> None:
    with path.open("a") as stream:
        stream.write("more")
    os.utime(path, (1e9, 1e9))


def replace(path: Path) -> None:
    other = path.with_name("other")
    other.write_text(path.read_text())
    os.utime(other, (1e9, 1e9))
    other.replace(path)


def touch(path: Path) -> None:
    os.utime(path, (0, 0))  # of a clock that is slow


@pytest.mark.parametrize("change", [append, replace, touch])
def test_a_file_that_was_written_is_new_whatever_its_time(
    tmp_path: Path, change: Callable[[Path], None]
) -> None:
    path = tmp_path / "RESTART"
    path.write_text("step 10")
    os.utime(path, (1e9, 1e9))
    before = stamps([path])
    assert not is_new(path, before)
    change(path)
    assert is_new(path, before)


def test_a_file_that_came_is_new_and_one_that_went_is_not(tmp_path: Path) -> None:
    path = tmp_path / "RESTART"
    before = stamps([path])
    assert not is_new(path, before)
    path.touch()
    assert is_new(path, before)
    before = stamps([path])
    path.unlink()
    assert not is_new(path, before)
