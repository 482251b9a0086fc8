"""The card beside model files: who finds it, and what stays when it is written again."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from calibrations import quantity

from mlobs_client.errors import ConfigError, ModelError
from mlobs_client.evaluate.card import FILE, card_file, read_card, write_card


@pytest.fixture
def models(tmp_path: Path) -> list[Path]:
    paths = [tmp_path / f"{m}.model" for m in range(4)]
    for path in paths:
        path.write_text(path.name)
    return paths


def test_a_card_is_found_by_the_same_members_in_any_order_and_under_any_names(models) -> None:
    assert read_card(models[:3]) == {}
    assert write_card(models[:3], {"energy": quantity(2.0)}) == card_file(models)
    assert read_card([models[2], models[0], models[1]])["energy"].alpha == 2.0
    renamed = models[0].rename(models[0].with_name("other.model"))
    assert read_card([renamed, *models[1:3]])["energy"].alpha == 2.0


def test_another_committee_does_not_take_it(models) -> None:
    write_card(models[:3], {"energy": quantity(2.0)})
    assert read_card(models) == {}
    assert read_card(models[1:]) == {}
    models[0].write_text("trained further")
    assert read_card(models[:3]) == {}


def test_what_is_not_calibrated_again_stays(models) -> None:
    write_card(models[:3], {"energy": quantity(2.0), "forces": quantity(1.5)})
    write_card(models[1:], {"energy": quantity(3.0)})
    write_card(models[:3], {"energy": quantity(2.5), "dipole": quantity(1.2)})
    found = {name: one.alpha for name, one in read_card(models[:3]).items()}
    assert found == {"energy": 2.5, "forces": 1.5, "dipole": 1.2}
    assert read_card(models[1:])["energy"].alpha == 3.0
    assert "blind" in json.loads((models[0].parent / FILE).read_text())["limits"]


def test_a_damaged_card_is_an_error_that_names_it(models) -> None:
    write_card(models[:3], {"energy": quantity(2.0)})
    path = card_file(models)
    whole = path.read_text()
    path.write_text(whole[:-20])
    with pytest.raises(ModelError, match=r"calibration.json: cannot be read .* calibrate again"):
        read_card(models[:3])
    path.write_text("[]")
    with pytest.raises(ModelError, match=r"calibration.json: cannot be read .* calibrate again"):
        read_card(models[:3])
    path.write_text(whole.replace('"alpha": 2.0', '"alpha": -2.0'))
    with pytest.raises(ConfigError, match=r"calibration.json: .*alpha"):
        read_card(models[:3])


def test_two_that_write_at_once_lose_nothing(tmp_path: Path) -> None:
    committees = [
        [tmp_path / f"{letter}-{k}.model" for k in range(3)] for letter in ("a", "b", "c", "d")
    ]
    for paths in committees:
        for path in paths:
            path.write_bytes(path.name.encode())
    one = quantity(2.0)
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda paths: [write_card(paths, {"energy": one}) for _ in range(5)],
                      committees))  # fmt: skip
    assert all(read_card(paths) == {"energy": one} for paths in committees)
