"""Templates: what is replaced, what is copied, and folders that are there as a whole."""

from __future__ import annotations

from pathlib import Path

import pytest

from mlobs_client.campaign.template import Template, read_template
from mlobs_client.errors import ConfigError


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "template"
    (folder / "deep").mkdir(parents=True)
    (folder / "input.xml").write_text("<a>\n$temperature K, ${seed}x, $$5\n</a>\n")
    (folder / "init.xyz").write_bytes(b"1\r\n\r\nH 0 0 0\r\n")
    (folder / "deep" / "model.bin").write_bytes(b"\x00\xff$temperature")
    return folder


def test_names_are_replaced_in_texts_and_all_else_is_copied(folder: Path, tmp_path: Path) -> None:
    values = {"temperature": "300", "seed": "1"}
    read_template(folder).write(values, tmp_path / "run", {"more": b"m"})
    found = {p.relative_to(tmp_path / "run").as_posix(): p.read_bytes()
             for p in (tmp_path / "run").rglob("*") if p.is_file()}  # fmt: skip
    assert found == {
        "input.xml": b"<a>\n300 K, 1x, $5\n</a>\n",
        "init.xyz": b"1\r\n\r\nH 0 0 0\r\n",
        "deep/model.bin": b"\x00\xff$temperature",
        "more": b"m",
    }
    assert sorted(path.name for path in tmp_path.iterdir()) == ["run", "template"]


def test_what_a_kill_has_left_is_replaced(folder: Path, tmp_path: Path) -> None:
    left = tmp_path / ".run.partial"
    left.mkdir()
    (left / "old").write_text("half")
    read_template(folder).write({"temperature": "1", "seed": "1"}, tmp_path / "run", {})
    assert not (tmp_path / "run" / "old").exists()
    assert not left.exists()


def test_an_unknown_name_is_an_error_with_file_and_line(folder: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        read_template(folder).check({"temperatur": 1, "seed": 1})
    assert "input.xml:2: $temperature is not a parameter" in str(caught.value)
    assert "did you mean 'temperatur'?" in str(caught.value)


def test_a_dollar_without_a_name_is_an_error_with_file_and_line(folder: Path) -> None:
    (folder / "run.sh").write_text("echo\n\necho $(date)\n")
    with pytest.raises(ConfigError, match=r"run\.sh:3: no name follows this \$; write \$\$"):
        read_template(folder).check({})


def test_the_digest_changes_with_every_file_and_value(folder: Path) -> None:
    values = {"temperature": "300", "seed": "1"}
    digests = {read_template(folder).digest(values, "")}
    digests.add(read_template(folder).digest({**values, "seed": "2"}, ""))
    digests.add(read_template(folder).digest(values, "other"))
    for name in ("input.xml", "init.xyz", "deep/model.bin"):
        (folder / name).write_bytes((folder / name).read_bytes() + b" ")
        digests.add(read_template(folder).digest(values, ""))
    assert len(digests) == 6
    assert Template(folder, {}, {}).digest(values, "") not in digests


def test_a_template_that_is_missing_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no such folder"):
        read_template(tmp_path / "none")
