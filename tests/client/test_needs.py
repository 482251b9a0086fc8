"""What a client file lacks is known before a model is loaded."""

from __future__ import annotations

from typing import Any

import pytest

from mlobs_client.client.config import parse
from mlobs_client.client.needs import check_needs
from mlobs_client.errors import MissingObservable

MACE: dict[str, Any] = {"kind": "mace", "models": ["gone.model"]}
MINIMAL: dict[str, Any] = {"structure": "init.xyz", "potential": MACE}
FIELD = {"vector": [0, 0, 0.1], "unit": "V/angstrom"}
WELLS = {"kind": "toy", "name": "qtip4pf"}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"field": FIELD}, "[field] needs dipole, .*; add a [dipole]"),
        ({"displacement": FIELD}, "[displacement] needs dipole"),
        ({"field": {**FIELD, "second_order": True}, "dipole": MACE}, "needs polarizability"),
        ({"observables": {"record": ["born_charges"]}}, "[observables] needs born_charges"),
        ({"potential": WELLS, "limits": {"energy_spread": 1.0}}, "[limits] energy_spread needs"),
        (
            {"potential": {"kind": "ase", "calculator": "a.B"},
             "observables": {"extras": ["polarizability"]}},
            "add a [polarizability]",
        ),
    ],
)  # fmt: skip
def test_a_table_that_is_missing_is_named(change: dict[str, Any], said: str) -> None:
    pattern = said.replace("[", r"\[").replace("]", r"\]")
    with pytest.raises(MissingObservable, match=pattern):
        check_needs(parse({**MINIMAL, **change}, "client.toml"))


def test_the_table_that_is_advised_is_enough() -> None:
    content = {**MINIMAL, "field": {**FIELD, "second_order": True}, "dipole": MACE}
    check_needs(parse({**content, "polarizability": MACE}, "client.toml"))
    check_needs(parse({"structure": "init.xyz", "potential": WELLS, "field": FIELD}, "c.toml"))
    charges = {"kind": "toy", "oxidation_numbers": {"O": -2, "H": 1}}  # formal ones alone
    check_needs(parse({**MINIMAL, "field": FIELD, "dipole": charges}, "c.toml"))
