"""What ends a command is one line that says what to do."""

from __future__ import annotations

from pathlib import Path

import pytest

from mlobs_client import cli


def test_a_full_disk_is_one_line_with_its_remedy(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def write() -> None:
        with Path("/dev/full").open("w") as file:  # Linux: no space is left there, ever
            file.write("a result")

    monkeypatch.setattr(cli, "group", write)
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code == 1
    assert capsys.readouterr().err == (
        "mlobs: error: an output: No space left on device; free space there, and run the same "
        "command again\n"
    )
