from __future__ import annotations

import tomllib
from pathlib import Path

import pytest
from ase.build import bulk, molecule
from ase.calculators.lj import LennardJones

from mlobs_client.client.config import parse
from mlobs_client.errors import ConfigError
from mlobs_client.inputs.client_toml import (
    Models,
    ase_models,
    mace_dipole,
    mace_potential,
    render_client,
    to_toml,
)
from mlobs_client.inputs.settings import choose
from mlobs_client.inputs.starting_structure import prepare

WATER, COPPER = prepare(molecule("H2O")), prepare(bulk("Cu", cubic=True))
EMT = "ase.calculators.emt.EMT"


class Polar(LennardJones):
    """Gives a dipole, or says that it does, and no stress."""

    implemented_properties = ("energy", "forces", "dipole")
    is_honest = True

    def calculate(self, *arguments: object, **others: object) -> None:
        super().calculate(*arguments, **others)
        del self.results["stress"]
        if self.is_honest:
            self.results["dipole"] = self.atoms.positions.sum(axis=0)


class Promising(Polar):
    """Says that it gives a dipole, but does not."""

    is_honest = False


def test_models_in_the_folder_are_relative_to_it_and_others_absolute(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("run/a.model", "b-0.model", "b-1.model"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    table, extras = mace_potential(["run/a.model", "b-*.model"], Path("run"))
    assert table["models"] == ["a.model", str(tmp_path / "b-*.model")]
    assert extras == ("energy_spread",)
    assert mace_potential(["b-0.model"], Path("run"))[1] == ()
    assert mace_potential(["bundled:water/potential-0"], tmp_path)[0]["models"] == [
        "bundled:water/potential-0"
    ]
    with pytest.raises(ConfigError, match=r"'c\.model' matches no .* the current folder"):
        mace_potential(["c.model"], Path("run"))


def test_a_periodic_dipole_needs_oxidation_numbers_and_a_molecule_does_not(tmp_path: Path) -> None:
    patterns = ["bundled:water/dipole-0"]
    with pytest.raises(ConfigError, match=r"--oxidation-numbers Cu=\.\.\."):
        mace_dipole(patterns, tmp_path, COPPER, None)
    assert mace_dipole(patterns, tmp_path, COPPER, "none")["oxidation_numbers"] == "none"
    assert "oxidation_numbers" not in mace_dipole(patterns, tmp_path, WATER, None)


def test_a_calculator_without_stress_is_written_so_and_runs_at_constant_volume() -> None:
    models = ase_models(f"{__name__}.Polar", {"rc": 3.0}, COPPER)
    assert (models.has_virial, models.extras) == (False, ())
    assert (
        tomllib.loads(render_client(COPPER, models, choose(COPPER, "nvt"), "x"))["virial"] == "none"
    )
    with pytest.raises(ConfigError, match="gives no stress"):
        render_client(COPPER, models, choose(COPPER, "npt"), "x")


def test_the_dipole_of_a_molecule_is_written_if_its_calculator_gives_one() -> None:
    start = prepare(molecule("H2O"))
    assert ase_models(f"{__name__}.Polar", {}, start).extras == ("dipole",)
    assert start.notes[1:] == []
    assert ase_models(f"{__name__}.Promising", {}, start).extras == ()
    assert "the dipole is left out" in start.notes[1]
    client = tomllib.loads(
        render_client(start, ase_models(EMT, {}, start), choose(start, "nvt"), "x")
    )
    assert "virial" not in client  # a molecule needs no such word
    assert "observables" not in client


def test_the_file_is_what_the_client_reads(tmp_path: Path) -> None:
    models = Models(
        {"kind": "ase", "calculator": EMT, "parameters": {"asap_cutoff": True}},
        mace_dipole(["bundled:water/dipole-0"], tmp_path, WATER, {"O": -2, "H": 1}),
        ("dipole",),
        field=(0.0, -0.1, 0.2),
    )
    text = render_client(WATER, models, choose(WATER, "nvt"), "my-run")
    assert text.startswith("# Models and observables of H2O (3 atoms, a molecule).\n# Change here:")
    config = parse(tomllib.loads(text), "client.toml")
    assert config.socket.address == "my-run"
    assert config.field is not None
    assert config.field.vector == (0.0, -0.1, 0.2)
    assert config.field.unit == "V/angstrom"
    assert config.observables.extras == ("dipole",)
    assert config.dipole is not None
    assert config.dipole.oxidation_numbers == {"O": -2, "H": 1}


def test_a_dipole_network_is_evaluated_at_the_steps_that_are_written(tmp_path: Path) -> None:
    def observables(field: tuple[float, float, float] | None, timestep: float) -> dict:
        dipole = mace_dipole(["bundled:water/dipole-0"], tmp_path, WATER, {"O": -2, "H": 1})
        models = Models({"kind": "ase", "calculator": EMT}, dipole, ("dipole",), field=field)
        text = render_client(WATER, models, choose(WATER, "nvt", timestep=timestep), "x")
        return tomllib.loads(text)["observables"]

    assert observables(None, 0.5) == {"extras": ["dipole"], "stride": {"dipole": 4}}
    assert observables(None, 2.0) == {"extras": ["dipole"]}
    assert observables((0.0, 0.0, 0.1), 0.5) == {"extras": ["dipole"]}


def test_a_field_without_a_dipole_is_refused() -> None:
    models = Models({"kind": "ase", "calculator": EMT}, field=(0.0, 0.0, 0.1))
    with pytest.raises(ConfigError, match="add --dipole FILE"):
        render_client(WATER, models, choose(WATER, "nvt"), "x")


@pytest.mark.parametrize(
    "value",
    ['a "quote"\\ and\na line, ü', 3, -2.5e-12, True, [1, [2.0]], {"a b": {"c": ["d"]}, "e-f": 1}],
)
def test_values_survive_toml(value: object) -> None:
    assert tomllib.loads(f"x = {to_toml(value)}")["x"] == value
