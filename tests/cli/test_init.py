from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from mlobs_client.cli import group
from mlobs_client.cli.init import command, find_kinds
from mlobs_client.errors import ConfigError


def invoke(*arguments: str):
    return CliRunner().invoke(command, arguments)


def test_without_a_kind_all_kinds_are_listed_with_their_purpose():
    said = invoke().output
    assert {"water-nve", "water-trpmd-field", "field-alone", "ffdirect"} <= set(find_kinds())
    for kind, purpose in find_kinds().items():
        assert len(purpose) > 10
        assert f"{kind:20s} {purpose}" in said


def test_a_kind_is_written_complete(tmp_path: Path):
    result = invoke("water-nve", str(tmp_path / "new" / "run"))
    assert result.exit_code == 0, result.output
    names = sorted(path.name for path in (tmp_path / "new" / "run").iterdir())
    assert names == ["client.toml", "init.xyz", "input.xml"]


def test_a_plug_in_is_written_as_a_file_of_its_own(tmp_path: Path):
    assert invoke("ffdirect", str(tmp_path)).exit_code == 0
    plug_in = tmp_path / "mlobs_pes.py"
    assert not plug_in.is_symlink()
    assert "class MlobsDriver" in plug_in.read_text()


def test_nothing_is_overwritten_and_nothing_is_half_written(tmp_path: Path):
    (tmp_path / "init.xyz").write_text("mine")
    result = invoke("water-nve", str(tmp_path))
    assert isinstance(result.exception, ConfigError)
    assert "init.xyz" in str(result.exception)
    assert [path.name for path in tmp_path.iterdir()] == ["init.xyz"]
    assert (tmp_path / "init.xyz").read_text() == "mine"


def test_an_unknown_kind_is_an_error_that_lists_the_known_ones(tmp_path: Path):
    result = invoke("water-nev", str(tmp_path))
    assert isinstance(result.exception, ConfigError)
    assert "'water-nev'" in str(result.exception)
    assert "water-nve" in str(result.exception)


def test_a_folder_that_cannot_be_made_is_an_error(tmp_path: Path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="give another folder"):
        raise invoke("water-nve", str(tmp_path / "file" / "run")).exception


def test_ctrl_c_has_its_own_status(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(**arguments: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(command, "callback", interrupted)
    done = CliRunner().invoke(group, ["init", "water-nvt", str(tmp_path / "new")])
    assert done.exit_code == 130
    assert "interrupted" in done.output
