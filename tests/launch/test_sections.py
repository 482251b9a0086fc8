"""Logs in dated sections."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from mlobs_client.launch.sections import heading, now, read_last_section, split_date


def test_a_date_is_read_back_with_its_time_zone() -> None:
    date, words = split_date(f"{now()} three words here")
    assert words == "three words here"
    assert date is not None
    # dates have whole seconds; a busy machine may take some
    assert 0.0 <= (datetime.now(UTC) - date).total_seconds() < 30.0
    assert split_date("no date here") == (None, "no date here")


def test_the_end_of_a_long_log_alone_is_read(tmp_path: Path) -> None:
    log = tmp_path / "a.log"
    with log.open("w") as stream:
        stream.write(heading("first"))
        stream.truncate(10**12)  # a hole, which nobody could read
        stream.seek(10**12)
        stream.write(f"\n{heading('second')}\nlast words\n")
    section = read_last_section(log)
    assert (section.title, section.lines) == ("second", ("last words",))
