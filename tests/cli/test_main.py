"""What ends a command is one line that says what to do."""

from __future__ import annotations

import subprocess
import sys
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


@pytest.mark.parametrize(
    "words",
    [
        "ir nowhere/simulation --temperature 300 -o x",
        "vdos nowhere/simulation -o x",
        "dielectric nowhere/simulation --temperature 300 -o x",
        "reweight nowhere/simulation --field 0 --to 0.1 --temperature 300 -o x",
        "field-scan nowhere.toml -o x",
    ],
)
def test_a_wrong_path_is_answered_before_figures_and_statistics_are_loaded(
    words: str, tmp_path: Path
) -> None:
    code = (
        "import sys; from mlobs_client.cli import group\n"
        f"try: group({words.split()!r}, standalone_mode=False)\n"
        "except Exception as error: print(error)\n"
        "print(sorted({'matplotlib', 'scipy.stats', 'scipy.signal', 'torch', 'ase'} & "
        "set(sys.modules)))"
    )
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    message, loaded = done.stdout.splitlines()
    assert "nowhere" in message
    assert loaded == "[]"
