"""Held-out structures are whole groups or files, written down, and never used for training."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from mlobs_client.errors import ConfigError
from mlobs_client.learn.labels import LabelledStructure
from mlobs_client.learn.split import hold_out, write_split


@pytest.fixture
def labelled(water) -> list[LabelledStructure]:
    return [LabelledStructure(index, water(2, seed=index), {}) for index in range(12)]


def test_groups_are_held_out_as_a_whole(labelled) -> None:
    grouped = [replace(one, group=f"run = {one.index // 3}") for one in labelled]
    for seed in range(5):
        split = hold_out(grouped, [], 0.3, seed)
        assert split.by == "groups"
        assert len(split.test) == 6  # two groups of three for 3.6 structures
        assert {grouped[s].group for s in split.test}.isdisjoint(
            {grouped[s].group for s in split.rest}
        )
    with pytest.raises(ConfigError, match="of the group 'one'; --test-group needs at least two"):
        hold_out([replace(one, group="one") for one in labelled], [], 0.3, 0)


def test_files_to_hold_out_leave_the_main_file_whole(labelled) -> None:
    split = hold_out(labelled[:8], labelled[8:], 0.9, 0)
    assert split.by == "files"
    np.testing.assert_array_equal(split.rest, np.arange(8))
    np.testing.assert_array_equal(split.test, np.arange(8, 12))


def test_energies_of_another_level_of_theory_are_not_held_out(labelled) -> None:
    mixed = [replace(one, theory="other" if one.index % 2 else "") for one in labelled]
    split = hold_out(mixed, [], 0.5, 0)
    assert 0 < len(split.test) < 6
    assert all(s % 2 == 0 for s in split.test)
    assert sorted([*split.test, *split.rest]) == list(range(12))
    with pytest.raises(ConfigError, match="has the level of theory 'other'"):
        hold_out(labelled, mixed[1:2], 0.5, 0)


def test_a_group_with_two_levels_of_theory_is_not_held_out_in_part(labelled) -> None:
    mixed = [
        replace(one, group=f"run = {one.index // 3}", theory="other" if one.index % 3 else "")
        for one in labelled
    ]
    with pytest.raises(ConfigError, match=r"levels of theory \['', 'other'\].*--also"):
        hold_out(mixed, [], 0.3, 0)


def test_a_single_structure_is_too_few_to_train_on(labelled) -> None:
    with pytest.raises(ConfigError, match="1 structures are left for training and validation"):
        hold_out(labelled[:1], labelled[1:], 0.5, 0)
    with pytest.raises(ConfigError, match="4 structures are too few"):
        hold_out(labelled[:1], labelled[1:4], 0.5, 0)


def test_another_split_than_the_one_written_down_is_refused(labelled, tmp_path: Path) -> None:
    path = tmp_path / "split.json"
    split = hold_out(labelled, [], 0.25, 0)
    write_split(path, labelled, split, 12)
    written = path.read_bytes()
    write_split(path, labelled, split, 12)
    assert path.read_bytes() == written
    exchanged = split._replace(test=split.rest[:3])
    with pytest.raises(ConfigError, match=r"split\.json: 6 of 12 structures were in another set"):
        write_split(path, labelled, exchanged, 12)


def test_a_structure_that_is_held_out_and_trained_on_is_refused(labelled, tmp_path: Path) -> None:
    again = [*labelled[:8], replace(labelled[3], index=8)]
    split = hold_out(again[:8], again[8:], 0.1, 0)
    with pytest.raises(ConfigError, match=r"structure 8 .* is there twice, held out and for"):
        write_split(tmp_path / "split.json", again, split, 9)
    assert not (tmp_path / "split.json").exists()
