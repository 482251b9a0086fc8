"""The client file: what is accepted, and that every mistake gets one line with its remedy."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mlobs_client.client.config import ClientConfig, load_config, parse
from mlobs_client.errors import ConfigError

MINIMAL: dict[str, Any] = {
    "structure": "init.xyz",
    "potential": {"kind": "mace", "models": ["a.model"]},
}


def test_a_minimal_file_is_complete_by_its_defaults() -> None:
    config = parse(MINIMAL, "client.toml")
    assert config.socket.mode == "unix"
    assert config.virial == "auto"
    assert config.field is None


def test_a_field_in_volt_per_angstrom_becomes_atomic_units() -> None:
    field = {"vector": [0.0, 0.0, 51.422067], "unit": "V/angstrom"}
    config = parse({**MINIMAL, "field": field}, "client.toml")
    assert config.field is not None
    # 51.422067 V/angstrom is one atomic unit (CODATA, to the digits written here)
    np.testing.assert_allclose(config.field.atomic_units, [0, 0, 1], atol=1e-8)


def test_a_displacement_is_fixed_along_all_axes_unless_the_file_names_some() -> None:
    table = {"vector": [0.0, 0.0, 0.1], "unit": "V/angstrom"}
    found = []
    for axes in ({}, {"axes": "z"}, {"axes": "xz"}):
        config = parse({**MINIMAL, "displacement": {**table, **axes}}, "client.toml")
        assert config.displacement is not None
        found.append(config.displacement.is_fixed)
    assert found == [(True, True, True), (False, False, True), (True, False, True)]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"potentail": {}}, "unknown setting 'potentail'; did you mean 'potential'?"),
        ({"socket": {"virial": "none"}}, "move it above the first [table]"),
        ({"potential": {"kind": "toy", "name": "qtip4pf", "batch": 2}}, "move it above the first"),
        ({"potential": {"kind": "mace", "model": ["x"]}}, "did you mean 'models'?"),
        ({"potential": {"kind": "mce", "models": ["x"]}}, "'mace', 'ase', 'toy'"),
        ({"potential": {"kind": "mace", "models": []}}, "potential.models = []"),
        ({"potential": {"kind": "mace", "models": ["x"], "alpha": -1}}, "potential.alpha = -1"),
        ({"field": {"vector": [0, 0, 1], "unit": "V/m"}}, "unknown unit 'V/m'; use one of V/ang"),
        ({"field": {"vector": [0, 1], "unit": "V/angstrom"}}, "number 3 is missing"),
        ({"field": {"vector": [0, 1, float("nan")], "unit": "V/angstrom"}}, "finite number"),
        ({"batch": 0}, "batch = 0"),
        ({"socket": {"port": 70000}}, "socket.port = 70000"),
        ({"socket": {"mode": "pigeon"}}, "'unix' or 'inet'"),
        ({"observables": {"extras": ["dipol"]}}, "did you mean 'dipole'?"),
        ({"observables": {"extras": ["energy"]}}, "remove it from extras"),
        ({"observables": {"extras": ["positions"]}}, "i-PI already has the positions"),
        ({"observables": {"extras": ["forces"]}}, "i-PI already has the forces"),
        (
            {"observables": {"every": 5}},
            "the setting 'every' is now called 'stride' in [observables]",
        ),
        ({"observables": {"stride": 0}}, "stride = 0 must be at least 1"),
        (
            {"observables": {"extras": ["dipole"], "stride": {"dipole": -5}}},
            "stride = { dipole = -5 } must be at least 1",
        ),
        (
            {"observables": {"extras": ["dipole"], "stride": {"dipol": 5}}},
            "stride names 'dipol', which is neither in extras nor in record; did you mean 'dipole'",
        ),
        (
            {"observables": {"stride": {"dipole": 5}}},
            "stride names 'dipole', which is neither in extras nor in record; add it",
        ),
        ({"observables": {"stride": 2.5}}, "observables.stride = 2.5"),
        ({"observables": {"stride": True}}, "observables.stride = True"),
        (
            {"observables": {"extras": ["dipole"], "stride": {"dipole": 1.5}}},
            "observables.stride.dipole = 1.5: Input should be a valid integer",
        ),
        (
            {
                "field": {"vector": [0, 0, 1], "unit": "V/angstrom", "second_order": True},
                "observables": {
                    "extras": ["born_charges", "polarizability_gradient"],
                    "stride": {"polarizability_gradient": 2},
                },
            },
            "their strides are 1 and 2; make the first a multiple of the second in [observables]",
        ),
        (
            {"observables": {"record": ["dipole", "born_charges"], "stride": {"born_charges": 9}}},
            "(dipole = 1, born_charges = 9); set the same number for all, or move the small ones",
        ),
        (
            {"dipole": {"kind": "mace", "models": ["x"], "oxidation_numbers": {"O": -1.5}}},
            "dipole.oxidation_numbers.O = -1.5",
        ),
        (
            {"dipole": {"kind": "mace", "models": ["x"], "oxidation_numbers": "no"}},
            "dipole.oxidation_numbers = 'no'",
        ),
        (
            {
                "field": {"vector": [0, 0, 1], "unit": "V/nm"},
                "displacement": {"vector": [0, 0, 1], "unit": "V/nm"},
            },
            "[field] and [displacement] exclude each other",
        ),
        ({"displacement": {"vector": [0, 0, 1], "unit": "V"}}, "[displacement] unit: unknown unit"),
        (
            {"displacement": {"vector": [0, 0, 1], "unit": "V/nm", "axes": "zx"}},
            "displacement.axes = 'zx'",
        ),
        (
            {"displacement": {"vector": [0, 0, 1], "unit": "V/nm", "axes": "z", "reduced": True}},
            "all faces of the cell, but axes = 'z'; remove one",
        ),
        (
            {
                "field": {"vector": [0, 0, 1], "unit": "V/nm", "second_order": True},
                "observables": {"sum_rule": "restore"},
            },
            "is for fields of i-PI's driven_dynamics",
        ),
        ({"potential": None}, "neither [potential] nor [field]"),
        ({"structure": 3}, "structure = 3"),
        ({"mace": {}}, "unknown setting 'mace'; use one of"),
        (
            {"field": {"vector": [0, 0, 1], "unit": "V/nm", "ase": 1}},
            "unknown setting 'ase' in [field]",
        ),
        ({"potential": {"models": ["x"]}}, "'kind' is missing in [potential]"),
    ],
)
def test_a_mistake_is_named_with_its_place_and_remedy(change: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse({**MINIMAL, **change}, "client.toml")
    assert str(caught.value).startswith("client.toml: ")
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_one_stride_is_that_of_all_observables_and_an_absent_one_is_every_step() -> None:
    named = {"extras": ["dipole"], "record": ["born_charges", "positions"]}
    all_of_them = ("dipole", "born_charges", "positions")
    for stride, strides in ({}, 1), ({"stride": 7}, 7):
        observables = parse({**MINIMAL, "observables": {**named, **stride}}, "c").observables
        assert observables.strides == dict.fromkeys(all_of_them, strides)
        assert observables.record_stride == strides


def test_strides_by_name_are_one_for_the_others() -> None:
    content = {"extras": ["dipole", "polarizability"], "stride": {"polarizability": 10}}
    observables = parse({**MINIMAL, "observables": content}, "client.toml").observables
    assert observables.strides == {"dipole": 1, "polarizability": 10}
    assert observables.record_stride == 1  # there is no record


def test_a_missing_file_names_itself_and_the_command_that_writes_one(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"nowhere\.toml: no such client file; 'mlobs init"):
        load_config(tmp_path / "nowhere.toml")


def test_a_file_that_is_not_toml_says_where(tmp_path: Path) -> None:
    path = tmp_path / "client.toml"
    path.write_text("structure = init.xyz\n")
    with pytest.raises(ConfigError, match="line 1"):
        load_config(path)


@pytest.mark.parametrize("value", [5000 * "9", 20_000 * "[", "'\\xff'"])
def test_numbers_and_brackets_without_end_are_one_line(value: str, tmp_path: Path) -> None:
    path = tmp_path / "client.toml"
    path.write_bytes(f"threads = {value}\n".encode().replace(b"\\xff", b"\xff"))
    with pytest.raises(ConfigError, match=r"client\.toml: cannot be read as TOML") as caught:
        load_config(path)
    assert "\n" not in str(caught.value)


def test_a_validated_file_cannot_be_changed() -> None:
    config = parse(MINIMAL, "client.toml")
    with pytest.raises(ValueError, match="frozen"):
        ClientConfig.__setattr__(config, "structure", "other.xyz")
