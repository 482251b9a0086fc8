"""A member is determined by its settings and its seed, whatever kills it, in whatever process."""

from __future__ import annotations

from pathlib import Path

import pytest

from mlobs_client.learn.member import EXACTLY, read_record
from mlobs_client.learn.training import read_data_set, train_committee


class KilledError(Exception):
    pass


def test_a_kill_and_another_process_give_the_same_network(settings, frames, tmp_path: Path) -> None:
    wanted = settings("potential", steps=6, network={"channels": 4, "radial": (8,)})
    data_set = read_data_set(wanted, frames)
    steps: list[int] = []

    def report(_: int, step: int, __: float) -> None:
        steps.append(step)
        if len(steps) == 3:
            raise KilledError

    (one,) = train_committee(wanted, data_set, tmp_path / "one", 1, lambda *_: None)
    with pytest.raises(KilledError):
        train_committee(wanted, data_set, tmp_path / "killed", 1, report)
    (other,) = train_committee(wanted, data_set, tmp_path / "killed", 1, report, at_once=2)
    assert steps[3:] == [0, 3, 4, 5, 6, 6]
    undisturbed, killed = read_record(one), read_record(other)
    assert undisturbed["checks"] == killed["checks"]
    assert undisturbed["weights_sha256"] == killed["weights_sha256"]
    assert killed["repeats"] == EXACTLY
