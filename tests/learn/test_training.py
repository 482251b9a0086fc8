"""A folder of a committee: what is done stays, what is missing is made, nothing is mixed."""

from __future__ import annotations

from pathlib import Path

import ase.io
import pytest
import torch

from mlobs_client.errors import ConfigError, ModelError
from mlobs_client.evaluate.model_files import digest, trust, untrusted
from mlobs_client.files import write_json
from mlobs_client.learn import member
from mlobs_client.learn.member import read_record
from mlobs_client.learn.settings import TrainingSettings
from mlobs_client.learn.training import (
    data_digest,
    load_member,
    member_file,
    read_data_set,
    train_committee,
)


class KilledError(Exception):
    pass


def test_the_same_call_completes_what_a_kill_has_left(settings, frames, tmp_path: Path) -> None:
    wanted = settings("dipole", steps=6)
    data_set = read_data_set(wanted, frames)
    taken: list[tuple[int, int]] = []

    def report(member: int, step: int, _: float) -> None:
        taken.append((member, step))
        if len(taken) == 10:
            raise KilledError

    with pytest.raises(KilledError):
        train_committee(wanted, data_set, tmp_path, 2, report)
    assert (tmp_path / "dipole-1.checkpoint").exists()
    done = (tmp_path / "dipole-0.model").read_bytes()
    paths = train_committee(wanted, data_set, tmp_path, 2, report)
    assert [path.name for path in paths] == ["dipole-0.model", "dipole-1.model"]
    # member 0 was only looked at, member 1 went on from its last check
    assert taken[10:] == [(0, 6), (1, 0), *((1, step) for step in range(2, 7)), (1, 6)]
    assert (tmp_path / "dipole-0.model").read_bytes() == done
    assert not (tmp_path / "dipole-1.checkpoint").exists()
    assert read_record(paths[0])["seed"] != read_record(paths[1])["seed"]


def test_a_folder_of_other_settings_is_refused(trained) -> None:
    done = trained("dipole")
    other = done.settings.model_copy(update={"steps": 61, "cutoff": 3.5})
    with pytest.raises(ConfigError, match=r"cutoff = 3.0, not 3.5; steps = 40, not 61"):
        train_committee(other, done.data_set, done.paths[0].parent, 1, lambda *_: None)


def test_settings_in_the_words_of_options_where_values_tell_nothing(trained) -> None:
    done = trained("dipole")
    other = done.settings.model_copy(update={"data": "0" * 64, "test": ("1" * 64,)})
    said = r"FRAMES.extxyz \(another content\); --test \(other files or contents\); give the same"
    with pytest.raises(ConfigError, match=said):
        train_committee(other, done.data_set, done.paths[0].parent, 1, lambda *_: None)


def test_settings_of_a_training_that_never_began_are_replaced(settings, frames, tmp_path) -> None:
    wrong, right = settings("dipole", steps=8), settings("dipole", steps=4)
    (tmp_path / "settings.json").write_text(wrong.model_dump_json())
    (tmp_path / "split.json").write_text('{"held_out_by": "random", "sets": {"other": "test"}}')
    train_committee(right, read_data_set(right, frames), tmp_path, 1, lambda *_: None)
    assert TrainingSettings.model_validate_json((tmp_path / "settings.json").read_bytes()) == right


def test_models_that_were_exchanged_are_noticed(settings, frames, trained, tmp_path: Path) -> None:
    done = trained("dipole")
    path = member_file(tmp_path, "dipole", 0)
    path.with_suffix(".json").write_bytes(done.paths[0].with_suffix(".json").read_bytes())
    path.write_bytes(done.paths[0].read_bytes()[:-1])
    with pytest.raises(ModelError, match="is not the file that training wrote"):
        load_member(path)


def test_a_folder_of_somebody_else_is_not_loaded_though_its_checksums_are_right(
    tmp_path: Path,
) -> None:
    path = member_file(tmp_path, "dipole", 0)
    torch.save(torch.nn.Linear(1, 1), path)
    write_json(path.with_suffix(".json"), {"sha256": digest(path)})
    with pytest.raises(ModelError, match=f"run: mlobs model trust {path}$"):
        load_member(path)
    trust(path)
    assert isinstance(load_member(path), torch.nn.Linear)


def test_what_was_trained_here_is_trusted_here(trained) -> None:
    assert untrusted(trained("dipole").paths) == {}


def test_a_data_set_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"nowhere\.extxyz: cannot be read"):
        data_digest(tmp_path / "nowhere.extxyz")


def test_a_device_that_is_not_there_is_named(settings, frames, tmp_path: Path) -> None:
    wanted = settings("dipole", steps=4)
    data_set = read_data_set(wanted, frames)
    with pytest.raises(ConfigError, match="--device nonsense: cannot be used here"):
        train_committee(wanted, data_set, tmp_path, 1, lambda *_: None, device="nonsense")


def test_a_disk_that_is_full_at_the_end_costs_nothing(settings, frames, tmp_path: Path) -> None:
    wanted = settings("dipole", steps=4)
    data_set = read_data_set(wanted, frames)
    taken: list[int] = []

    def report(_: int, step: int, __: float) -> None:
        taken.append(step)

    path = member_file(tmp_path, "dipole", 0)
    path.mkdir()  # cannot be replaced by a file
    with pytest.raises(ModelError, match=r"dipole-0\.model: cannot be written"):
        train_committee(wanted, data_set, tmp_path, 1, report)
    assert taken == [0, 1, 2, 3, 4]
    path.rmdir()
    train_committee(wanted, data_set, tmp_path, 1, report)
    assert taken == [0, 1, 2, 3, 4, 0, 4]  # no step again; the last is of the member that is done


def test_a_kill_at_the_end_of_a_member_leaves_none_that_is_done_and_not_trusted(
    settings, frames, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = settings("dipole", steps=4)
    data_set = read_data_set(wanted, frames)

    def die(path: Path) -> None:
        raise KilledError

    with monkeypatch.context() as patch:
        patch.setattr(member, "trust", die)
        with pytest.raises(KilledError):
            train_committee(wanted, data_set, tmp_path, 1, lambda *_: None)
    (path,) = train_committee(wanted, data_set, tmp_path, 1, lambda *_: None)
    assert untrusted([path]) == {}


def test_born_charges_may_be_in_a_further_file_but_not_nowhere(
    settings, frames, tmp_path: Path
) -> None:
    born, dipoles = ase.io.read(frames, ":"), ase.io.read(frames, ":")
    for one, other in zip(born, dipoles, strict=True):
        one.positions += 0.01
        one.info.clear()
        del other.arrays["apt"]
    ase.io.write(tmp_path / "born.extxyz", born)
    ase.io.write(tmp_path / "dipoles.extxyz", dipoles)
    wanted = settings("dipole", also=(("sha256", 0.1),))
    data_set = read_data_set(wanted, tmp_path / "dipoles.extxyz", [tmp_path / "born.extxyz"])
    assert "born_charges" not in data_set.targets[0]
    assert "born_charges" in data_set.targets[24]
    with pytest.raises(ConfigError, match="there are no Born charges 'apt'"):
        read_data_set(wanted, tmp_path / "dipoles.extxyz", [tmp_path / "dipoles.extxyz"])
