"""What programs are known by, and that a store is whole and private."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import torch

from mlobs_client.errors import ModelError
from mlobs_client.evaluate.compile import store
from mlobs_client.evaluate.compile.store import ProgramSize

SIZE = ProgramSize(2, 10, 80, 64)


@pytest.fixture(autouse=True)
def own_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path / "mlobs" / "compiled"


def write_programs(folder: Path, content: str) -> list[Path]:
    folder.mkdir()
    paths = [folder / f"{name}.pt2" for name in ("forward", "backward")]
    for path in paths:
        path.write_text(content)
    return paths


def test_the_same_networks_have_the_same_name_and_others_another(committee) -> None:
    name = store.identity(committee("potential", 2))
    assert name == store.identity(committee("potential", 2))
    assert name != store.identity(committee("potential", 1))
    assert name != store.identity(committee("unscaled potential", 2))
    changed = committee("potential", 2)
    next(iter(changed[1].parameters())).data[...] += 1e-12
    assert name != store.identity(changed)


def test_another_size_or_number_of_threads_is_another_program() -> None:
    key = store.key("networks", SIZE, "cpu")
    assert key == store.key("networks", ProgramSize(2, 10, 80, 64), "cpu")
    assert key != store.key("networks", ProgramSize(2, 10, 96, 64), "cpu")
    assert key != store.key("others", SIZE, "cpu")
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(before + 1)
        assert key != store.key("networks", SIZE, "cpu")
    finally:
        torch.set_num_threads(before)


def test_what_is_kept_is_found(tmp_path: Path) -> None:
    assert store.find("some") is None
    store.keep("some", write_programs(tmp_path / "a", "a"), True, {"stacked": 1e-3})
    found = store.find("some")
    assert found is not None
    assert (found.stacked, found.seconds) == (True, {"stacked": 1e-3})
    assert (found.folder / "forward.pt2").read_text() == "a"


def test_of_two_that_compile_the_same_the_first_one_stays(tmp_path: Path, own_store: Path) -> None:
    for content in ("first", "second"):
        store.keep("some", write_programs(tmp_path / content, content), False, {})
    found = store.find("some")
    assert found is not None
    assert (found.folder / "backward.pt2").read_text() == "first"
    assert [path.name for path in own_store.iterdir()] == ["some"]


def test_a_store_that_others_can_write_to_is_refused(own_store: Path) -> None:
    assert store.home() == own_store
    assert own_store.stat().st_mode & 0o777 == 0o700
    own_store.chmod(0o777)
    with pytest.raises(ModelError, match="chmod 700"):
        store.find("some")


@pytest.mark.parametrize("content", ["", "{", "[]", '{"stacked": true}', "\udcff"])
def test_a_program_whose_description_is_damaged_is_made_again(tmp_path: Path, content: str) -> None:
    store.keep("some", write_programs(tmp_path / "a", "a"), True, {})
    described = store.home() / "some" / "made.json"
    described.write_bytes(content.encode(errors="surrogateescape"))
    assert store.find("some") is None
    store.keep("some", write_programs(tmp_path / "b", "b"), True, {})
    found = store.find("some")
    assert found is not None
    assert (found.folder / "forward.pt2").read_text() == "b"


def test_a_program_under_the_name_of_another_is_not_run(tmp_path: Path, own_store: Path) -> None:
    store.keep("some", write_programs(tmp_path / "a", "a"), True, {})
    shutil.copytree(own_store / "some", own_store / "other")
    assert store.find("other") is None
    assert store.find("some") is not None


@pytest.mark.parametrize(
    "content",
    ["[]", "null", '{"key": "some", "stacked": [], "seconds": {}}',
     '{"key": "some", "stacked": true, "seconds": [1]}',
     '{"key": "some", "stacked": true, "seconds": {"a": "fast"}}', 100_000 * "["],
    ids=range(6),
)  # fmt: skip
def test_a_program_whose_description_has_other_types_is_made_again(
    content: str, tmp_path: Path
) -> None:
    store.keep("some", write_programs(tmp_path / "a", "a"), True, {})
    (store.home() / "some" / "made.json").write_text(content)
    assert store.find("some") is None
    assert not (store.home() / "some").exists()


def test_files_and_folders_that_were_mixed_up_are_made_again(tmp_path: Path) -> None:
    store.home()
    (store.home() / "some").write_text("a file")
    assert store.find("some") is None
    (store.home() / "some" / "made.json").mkdir(parents=True)
    assert store.find("some") is None
    store.keep("some", write_programs(tmp_path / "a", "a"), True, {})
    assert store.find("some") is not None
