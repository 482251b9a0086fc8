"""The examples in the docstrings of the twelve functions and classes that users call most."""

from __future__ import annotations

import doctest
import sys
from pathlib import Path
from typing import Final

import numpy as np
import pytest
from written_runs import write_run

from mlobs_client import analysis, client, ipi, load_config, plot, results, studies
from mlobs_client.units import FEMTOSECOND, INVERSE_CM

MOST_USED: Final = (
    load_config, client.assemble, client.observe_batch,
    ipi.read_properties, studies.RunSet,
    analysis.vdos, analysis.infrared, analysis.permittivity_from_fluctuations,
    results.mean, results.Curve, results.Result, plot.write,
)  # fmt: skip


@pytest.fixture
def two_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """``a/simulation`` and ``b/simulation``, whose dipoles oscillate at 1000 cm^-1."""
    phases = 1000.0 * INVERSE_CM * 2.0 * FEMTOSECOND * np.arange(2000)
    dipoles = 0.1 * np.cos(phases)[:, None] + [0.0, 1.0, 0.0]
    for name in "ab":
        write_run(tmp_path / name / "simulation", dipoles, 20.0)
    monkeypatch.chdir(tmp_path)


@pytest.mark.usefixtures("two_runs")
@pytest.mark.parametrize("public", MOST_USED, ids=lambda public: public.__name__)
def test_the_example_gives_what_it_shows(public: type) -> None:
    module = sys.modules[public.__module__]
    (example,) = doctest.DocTestFinder(recurse=False).find(public, public.__name__, module)
    assert example.examples
    assert doctest.DocTestRunner().run(example).failed == 0


def test_they_are_twelve() -> None:
    assert len(set(MOST_USED)) == 12
