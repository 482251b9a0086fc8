from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from mlobs_client.check.finding import Finding, error, ok, warning
from mlobs_client.errors import ConfigError
from mlobs_client.inputs import checked_files
from mlobs_client.inputs.checked_files import write_checked

TEXTS = {"input.xml": "new input", "client.toml": "new client", "init.xyz": "new structure"}


def write(
    folder: Path, monkeypatch: pytest.MonkeyPatch, *findings: Finding | BaseException
) -> list[Finding]:
    """Write with a check that finds this."""

    def check(path: Path, clients: list[Path], **others: object) -> Iterator[Finding]:
        assert (path.read_text(), clients[0].read_text()) == ("new input", "new client")
        for finding in findings:
            if isinstance(finding, BaseException):
                raise finding
            yield finding

    monkeypatch.setattr(checked_files, "check_all", check)
    return write_checked(folder, TEXTS, lambda text: None)


def test_files_without_errors_stay_and_warnings_are_given(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    odd = warning("odd", "look")
    assert write(tmp_path / "a" / "b", monkeypatch, ok("fine"), odd) == [odd]
    assert {path.name: path.read_text() for path in (tmp_path / "a" / "b").iterdir()} == TEXTS


@pytest.mark.parametrize("problem", [error("wrong", "mend"), KeyboardInterrupt()])
def test_an_error_or_ctrl_c_leaves_the_folder_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, problem: Finding | BaseException
) -> None:
    (tmp_path / "init.xyz").write_text("mine")
    for folder in (tmp_path, tmp_path / "a" / "b"):
        with pytest.raises((ConfigError, KeyboardInterrupt)):
            write(folder, monkeypatch, problem)
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {"init.xyz": "mine"}


def test_the_error_is_one_line_with_its_remedy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ConfigError) as caught:
        write(tmp_path, monkeypatch, error("it is wrong", "mend it"))
    assert str(caught.value) == "nothing was written, since mlobs check says: it is wrong; mend it"
