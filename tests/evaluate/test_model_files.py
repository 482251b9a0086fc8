"""Which files a name means, which of them are trusted, and what is refused."""

from __future__ import annotations

import hashlib
import os
import pickle
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner

from mlobs_client.cli.model import command
from mlobs_client.errors import ModelError
from mlobs_client.evaluate.model_files import (
    load,
    quiet_third_parties,
    require_trust,
    resolve,
    trust,
)


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch) -> Path:
    """A configuration folder of our own."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    return tmp_path / "config"


@pytest.fixture
def model_file(tmp_path, network) -> Path:
    path = tmp_path / "mine.model"
    save(network("potential"), path)
    return path


def save(network: torch.nn.Module, path: Path) -> None:
    with quiet_third_parties():
        torch.save(network, path)


def test_patterns_are_relative_to_the_client_file_and_sorted(tmp_path) -> None:
    for name in ("b-1.model", "b-0.model", "a.model", "other.txt"):
        (tmp_path / name).touch()
    (tmp_path / "b-2.model").mkdir()
    found = resolve(["b-*.model", "a.model", "b-0.model"], tmp_path)
    assert [path.name for path in found] == ["b-0.model", "b-1.model", "a.model"]


def test_absolute_paths_and_globs_are_taken_as_they_are(tmp_path) -> None:
    for name in ("x-0.model", "x-1.model"):
        (tmp_path / name).touch()
    elsewhere = tmp_path / "elsewhere"
    assert resolve([str(tmp_path / "x-0.model")], elsewhere) == [tmp_path / "x-0.model"]
    assert len(resolve([str(tmp_path / "x-*.model")], elsewhere)) == 2


def test_names_with_brackets_are_files_first(tmp_path) -> None:
    (tmp_path / "fold[0].model").touch()
    assert resolve(["fold[0].model"], tmp_path) == [tmp_path / "fold[0].model"]


def test_a_pattern_without_files_is_refused_with_the_folder(tmp_path) -> None:
    with pytest.raises(ModelError, match=rf"'no-\*' matches no file in {tmp_path}"):
        resolve(["no-*"], tmp_path)


@pytest.mark.parametrize(
    "pattern",
    ["", ".", "..", "/", "//", "~no-such-user/x", "a/***/b", "**x/", "a\0b", 5000 * "x", "\n"],
)
def test_what_is_no_path_and_no_pattern_is_refused_by_its_name(pattern: str, tmp_path) -> None:
    with pytest.raises(
        ModelError, match=r"matches no file|is neither a path nor a pattern"
    ) as caught:
        resolve([pattern], tmp_path)
    assert repr(pattern) in str(caught.value)


def test_an_unknown_bundled_name_is_answered_with_the_known_ones(tmp_path) -> None:
    with pytest.raises(ModelError, match="the bundled models are"):
        resolve(["bundled:water/no-such-*"], tmp_path)


def test_bundled_models_are_found_and_trusted(tmp_path, caplog) -> None:
    found = resolve(["bundled:water/potential-*"], tmp_path)
    assert [path.name for path in found] == [f"potential-{i}.model" for i in range(4)]
    assert resolve(["bundled:water/potential-1"], tmp_path) == found[1:2]
    assert type(load(found[0])).__name__ == "ScaleShiftMACE"
    assert caplog.text == ""


class Evil:
    """Leaves the file RAN behind when it is unpickled."""

    def __init__(self, folder: Path) -> None:
        self.ran = folder / "RAN"

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, (f"touch {self.ran}",)


def test_a_file_that_is_not_trusted_is_not_loaded_and_the_remedy_works(tmp_path) -> None:
    path = tmp_path / "a name.model"
    torch.save(Evil(tmp_path), path)
    with pytest.raises(ModelError, match="is not trusted, so not loaded") as caught:
        load(path)
    assert not (tmp_path / "RAN").exists()
    assert hashlib.sha256(path.read_bytes()).hexdigest() in str(caught.value)
    mlobs, model, trusting, *files = shlex.split(str(caught.value).rpartition("run: ")[2])
    assert [mlobs, model, trusting] == ["mlobs", "model", "trust"]
    assert CliRunner().invoke(command, [trusting, *files]).exit_code == 0
    with pytest.raises(ModelError, match="contains a int, not a network"):  # of the shell
        load(path)
    assert (tmp_path / "RAN").exists()


def test_all_files_that_are_not_trusted_are_named_before_any_is_loaded(tmp_path) -> None:
    paths = [tmp_path / f"{number}.model" for number in range(3)]
    for path in paths:
        path.write_text(path.name)
    trust(paths[1])
    with pytest.raises(ModelError, match=f"mlobs model trust {paths[0]} {paths[2]}$"):
        require_trust(paths)


def test_a_trusted_file_is_loaded_wherever_it_lies(model_file, tmp_path, caplog) -> None:
    known = trust(model_file)
    assert known == hashlib.sha256(model_file.read_bytes()).hexdigest()
    load(model_file.rename(tmp_path / "elsewhere.model"))
    assert caplog.text == ""


def test_a_changed_file_is_not_trusted_any_more(model_file, network) -> None:
    trust(model_file)
    save(network("potential", 1), model_file)
    with pytest.raises(ModelError, match=r"mine\.model .* is not trusted, so not loaded"):
        load(model_file)


def test_missing_files_are_named(tmp_path) -> None:
    with pytest.raises(ModelError, match=r"absent\.model: cannot be read: No such file"):
        load(tmp_path / "absent.model")
    with pytest.raises(ModelError, match=r"absent\.model: cannot be read"):
        trust(tmp_path / "absent.model")


def test_a_damaged_file_is_named(model_file) -> None:
    content = model_file.read_bytes()
    model_file.write_bytes(content[: len(content) // 2])
    trust(model_file)
    with pytest.raises(ModelError, match=r"mine\.model: is not a model, or is damaged"):
        load(model_file)


@pytest.mark.parametrize("content", [b"", b"text", pickle.dumps({"a": 1})])
def test_files_that_are_no_networks_are_refused(content, tmp_path) -> None:
    path = tmp_path / "it.model"
    path.write_bytes(content)
    trust(path)
    with pytest.raises(ModelError, match=r"it\.model: "):
        load(path)


def test_a_checkpoint_is_refused_with_what_it_contains(tmp_path) -> None:
    path = tmp_path / "it.pt"
    torch.save({"model": torch.zeros(3)}, path)
    trust(path)
    with pytest.raises(ModelError, match="contains a dict, not a network"):
        load(path)


def test_reading_a_model_says_nothing_and_warns_of_nothing() -> None:
    code = (
        "from pathlib import Path\n"
        "from mlobs_client.evaluate import model_files\n"
        "from mlobs_client.evaluate.mace import evaluator as mace\n"
        "(path,) = model_files.resolve(['bundled:water/dipole-0'], Path())\n"
        "mace.dipole({'it': model_files.load(path)})\n"
    )
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_of_a_file_that_is_cut_torch_may_say_one_sentence(model_file) -> None:
    model_file.write_bytes(model_file.read_bytes()[:-100])
    trust(model_file)
    with pytest.raises(ModelError) as caught:
        load(model_file)
    assert "\n" not in str(caught.value)
    assert "miniz" not in str(caught.value)


def test_pipes_devices_and_folders_are_no_model_files(tmp_path: Path) -> None:
    """A pipe would be waited for, and a device read, for ever."""
    os.mkfifo(tmp_path / "pipe.model")
    for path in (tmp_path / "pipe.model", Path("/dev/zero"), tmp_path):
        with pytest.raises(ModelError, match=f"^{path}: is not a file; name a"):
            trust(path)
