"""A member is determined by its settings and its seed, whatever kills it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from mlobs_client.learn.member import read_record, train_member
from mlobs_client.learn.training import read_data_set


class KilledError(Exception):
    pass


def test_kills_at_random_moments_give_the_same_network(settings, frames, tmp_path: Path) -> None:
    wanted = settings("potential", steps=20, network={"channels": 4, "radial": (8,)})
    data_set = read_data_set(wanted, frames)
    random = np.random.default_rng(0)
    lives = iter(random.integers(1, 9, size=2))
    left = next(lives)

    def live(*_: object) -> None:
        nonlocal left
        left -= 1
        if left == 0:
            raise KilledError

    undisturbed, killed = tmp_path / "a.model", tmp_path / "b.model"
    train_member(wanted, data_set, undisturbed, 3, lambda *_: None, "cpu")
    for following in [*lives, -1]:
        with pytest.raises(KilledError):
            train_member(wanted, data_set, killed, 3, live, "cpu")
        left = following
    train_member(wanted, data_set, killed, 3, live, "cpu")
    one, other = read_record(undisturbed), read_record(killed)
    assert one["checks"] == other["checks"]
    assert one["weights_sha256"] == other["weights_sha256"]
