"""Which alpha a client uses, where it is from, and what is said of it."""

from __future__ import annotations

import logging
import tomllib
from pathlib import Path

import pytest
from calibrations import quantity

from mlobs_client.client.alphas import read_alphas, report_alphas
from mlobs_client.client.config import ClientConfig, parse
from mlobs_client.evaluate.card import write_card

SPREAD = frozenset({"energy_spread"})


@pytest.fixture
def models(tmp_path: Path) -> list[Path]:
    paths = [tmp_path / f"{m}.model" for m in range(3)]
    for path in paths:
        path.write_text(path.name)
    return paths


def client(more: str = "", models: str = "*.model") -> ClientConfig:
    table = f'kind = "mace"\nmodels = ["{models}"]\n'
    return config(
        f"[potential]\n{table}{more}[dipole]\n{table}{more}[polarizability]\n{table}{more}"
    )


def config(text: str) -> ClientConfig:
    return parse(tomllib.loads(f'structure = "init.xyz"\n{text}'), "client.toml")


def test_the_card_is_the_default_and_an_explicit_alpha_wins(models, tmp_path) -> None:
    write_card(models, {"energy": quantity(2.0), "forces": quantity(1.5), "dipole": quantity(1.3)})
    found = read_alphas(client(), tmp_path)
    assert {name: one.value for name, one in found.items()} == {
        "energy": 2.0, "dipole": 1.3, "polarizability": 1.0
    }  # fmt: skip
    explicit = read_alphas(client("alpha = 0.7\n"), tmp_path)
    assert {one.value for one in explicit.values()} == {0.7}
    assert explicit["energy"].is_set
    assert explicit["energy"].card is not None  # its spreads are still watched


def test_forces_serve_where_no_energies_were_calibrated(models, tmp_path) -> None:
    write_card(models, {"forces": quantity(1.5)})
    found = read_alphas(client(), tmp_path)["energy"]
    assert (found.value, found.of) == (1.5, "forces")


def test_a_single_model_has_no_alpha(models, tmp_path) -> None:
    assert read_alphas(client(models="0.model"), tmp_path) == {}


def test_it_is_said_which_alpha_is_shown_and_warned_of_none(models, tmp_path, caplog) -> None:
    with caplog.at_level(logging.INFO):
        report_alphas(read_alphas(client(), tmp_path), SPREAD)
        (record,) = caplog.records
        assert record.levelno == logging.WARNING
        assert "[potential] is not calibrated, alpha = 1; mlobs calibrate" in record.getMessage()
        caplog.clear()
        report_alphas(read_alphas(client(), tmp_path), frozenset({"dipole", "energy"}))
        assert caplog.records == []  # no spread is shown
        write_card(models, {"energy": quantity(2.0)})
        report_alphas(read_alphas(client(), tmp_path), SPREAD)
        report_alphas(read_alphas(client("alpha = 0.7\n"), tmp_path), SPREAD)
        assert {record.levelno for record in caplog.records} == {logging.INFO}
        assert "alpha = 2 +- 0.1, from calibration.json (energy of 20 structures" in caplog.text
        assert "alpha = 0.7, from the client file" in caplog.text
