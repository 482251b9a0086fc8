from __future__ import annotations

import os
import pickle
import sys
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
from ase import Atoms
from ase.calculators.calculator import Calculator, all_changes
from ase.calculators.emt import EMT
from ase.calculators.lj import LennardJones

from mlobs_client.errors import ConfigError, EvaluationError, MissingObservable, ModelError
from mlobs_client.evaluate.ase import AseEvaluator
from mlobs_client.evaluate.model_files import trust
from mlobs_client.structure import Array, Structure
from mlobs_client.testing.conformance import check_evaluator
from mlobs_client.units import ANGSTROM, EV

CELL = np.array([[12.0, 1.0, 0.5], [-0.7, 11.0, 1.2], [0.3, -1.1, 13.0]])
ENERGY = frozenset({"energy"})


def argon(n_atoms: int = 4, pbc: bool = True) -> Structure:
    grid = np.array(
        [[1.0, 0.5, 0.3], [6.5, 1.2, 0.1], [0.4, 6.2, 1.0], [5.8, 6.9, 7.1], [1.2, 0.3, 6.8]]
    )
    return Structure(np.full(n_atoms, 18), grid[:n_atoms], CELL, (pbc, pbc, pbc))


def lennard_jones() -> AseEvaluator:
    return AseEvaluator(LennardJones(sigma=2.6, epsilon=0.01, rc=9.0, smooth=True))


def test_forces_and_strain_derivative_are_those_of_the_energy() -> None:
    report = check_evaluator(lennard_jones(), argon())
    assert report.passed, str(report)
    assert len(report.rows) == 2


def test_a_calculator_with_many_body_forces_passes_too() -> None:
    random = np.random.default_rng(1)
    copper = Structure(np.array([29, 29, 79]), random.normal(size=(3, 3)) * 3.0, CELL)
    report = check_evaluator(AseEvaluator(EMT()), copper)
    assert report.passed, str(report)


def test_a_dimer_at_the_minimum_has_the_well_depth() -> None:
    distance = 2.0 ** (1.0 / 6.0) * 2.6 * ANGSTROM
    positions = np.array([[0.1, 0.2, 0.3], [0.1, 0.2, 0.3 + distance]])
    pair = Structure(np.array([18, 18]), positions, np.zeros((3, 3)), (False, False, False))
    evaluator = AseEvaluator(LennardJones(sigma=2.6, epsilon=0.01, rc=1e3))
    evaluation = evaluator([pair], ENERGY)
    # the energy is shifted by its value at the cutoff, 1e-15 of the depth
    assert evaluation.values[0]["energy"] / EV == pytest.approx(-0.01, rel=1e-10)
    gradient = evaluation.pull_back([{"energy": np.ones(())}])[0]
    assert gradient.positions == pytest.approx(np.zeros((2, 3)), abs=1e-14)
    assert gradient.strain is None  # no cell, so ASE has no stress


def test_one_evaluator_treats_structures_of_different_sizes() -> None:
    structures = [argon(4), argon(5), argon(4, pbc=False), argon(4)]
    together = [value["energy"] for value in lennard_jones()(structures, ENERGY).values]
    alone = [lennard_jones()([s], ENERGY).values[0]["energy"] for s in structures]
    assert together == pytest.approx(alone, rel=1e-14)
    assert together[0] == together[3]
    assert together[0] != together[2]


class Smeared(Calculator):
    """Tells energy from free energy, has a dipole and a polarizability, but no stress."""

    implemented_properties: ClassVar[list[str]] = [
        "energy", "free_energy", "forces", "dipole", "polarizability", "charges",
    ]  # fmt: skip

    def calculate(
        self,
        atoms: Atoms | None = None,
        properties: Any = None,
        system_changes: Any = all_changes,
    ) -> None:
        super().calculate(atoms, properties, system_changes)
        R: Array = self.atoms.positions
        self.results = {
            "energy": 17.0,
            "free_energy": float(np.sum(R**2)),
            "forces": -2.0 * R,
            "dipole": np.sum(R, axis=0),
            "polarizability": R.T @ R * np.linalg.norm(R[0]),
        }


def test_the_energy_is_the_one_that_belongs_to_the_forces() -> None:
    report = check_evaluator(AseEvaluator(Smeared()), argon())
    assert report.passed, str(report)


def test_without_stress_there_is_no_strain_derivative() -> None:
    evaluation = AseEvaluator(Smeared())([argon()], ENERGY)
    assert evaluation.pull_back([{"energy": np.ones(())}])[0].strain is None


def test_observables_have_values_in_atomic_units_but_no_derivatives() -> None:
    evaluator = AseEvaluator(Smeared())
    assert evaluator.provides == {"energy", "dipole", "polarizability"}
    evaluation = evaluator([argon()], frozenset({"dipole", "polarizability"}))
    R = argon().positions
    assert evaluation.values[0]["dipole"] == pytest.approx(R.sum(axis=0), rel=1e-13)
    alpha = R.T @ R * np.linalg.norm(R[0])
    assert evaluation.values[0]["polarizability"] == pytest.approx(alpha, rel=1e-13)
    with pytest.raises(MissingObservable, match="dipole has no derivative"):
        evaluation.pull_back([{"dipole": np.ones(3)}])


class Broken(Smeared):
    def calculate(self, *args: Any, **kwargs: Any) -> None:
        raise FileNotFoundError("vasp_std")


def test_a_calculator_that_fails_is_named_with_its_reason() -> None:
    with pytest.raises(EvaluationError, match=r"Broken gave no free_energy.*vasp_std") as caught:
        AseEvaluator(Broken())([argon()], ENERGY)
    assert isinstance(caught.value.__cause__, FileNotFoundError)


def test_a_structure_that_the_calculator_cannot_treat_is_an_evaluation_error() -> None:
    with pytest.raises(EvaluationError, match="EMT gave no"):
        AseEvaluator(EMT())([argon()], ENERGY)


def test_a_calculator_is_made_from_its_import_path() -> None:
    parameters = {"sigma": 2.6, "epsilon": 0.01, "rc": 9.0, "smooth": True}
    made = AseEvaluator.from_import_path("ase.calculators.lj.LennardJones", parameters)
    one = made([argon()], ENERGY).values[0]["energy"]
    assert one == lennard_jones()([argon()], ENERGY).values[0]["energy"]


@pytest.mark.parametrize(
    ("path", "parameters", "message"),
    [
        ("ase.calculators.lj.LenardJones", {}, "cannot be imported.*install the package"),
        ("not_a_package.Calculator", {}, "cannot be imported"),
        ("LennardJones", {}, "cannot be imported"),
        ("..LennardJones", {}, "cannot be imported"),
        ("ase.calculators.emt.EMT", {"asap_cutoff": [1], "label": 1.5}, "cannot be made"),
        ("ase.Atoms", {}, "not an ASE calculator: it is a class, but not a subclass of ASE"),
        ("ase.units.kB", {}, "not an ASE calculator: it is a float"),
        ("ase.calculators.calculator.Calculator", {}, "needs energy and forces"),
    ],
)
def test_a_wrong_calculator_is_refused_with_the_remedy(
    path: str, parameters: dict[str, Any], message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # a MACECalculator adds its own to the list of the class that all calculators share
    monkeypatch.setattr(Calculator, "implemented_properties", [])
    with pytest.raises(ConfigError, match=message):
        AseEvaluator.from_import_path(path, parameters)


def test_a_parameter_that_ase_would_swallow_is_warned_of(caplog: pytest.LogCaptureFixture) -> None:
    AseEvaluator.from_import_path("ase.calculators.lj.LennardJones", {"sigma": 2.6, "sigmas": 1.0})
    assert [record.getMessage() for record in caplog.records] == [
        "ase.calculators.lj.LennardJones may not know the parameter 'sigmas' and ignore it; it has "
        "defaults for epsilon, rc, ro, sigma, smooth"
    ]


FACTORIES = """
from __future__ import annotations
from pathlib import Path
from ase.calculators.lj import LennardJones

def promises(**parameters) -> LennardJones:
    Path("RAN").touch()
    return LennardJones(**parameters)

def may_promise(**parameters) -> None | LennardJones:
    return promises(**parameters)

def says_nothing(**parameters):
    return promises(**parameters)

def says_what_is_not_there(**parameters) -> Nowhere:
    return promises(**parameters)
"""


@pytest.fixture
def factories(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An importable module ``factories``, whose functions leave a file RAN in this folder."""
    (tmp_path / "factories.py").write_text(FACTORIES)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "factories", raising=False)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_client_file_calls_no_function(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError, match=r"subprocess\.getoutput.*only a subclass of ASE"):
        AseEvaluator.from_import_path("subprocess.getoutput", {"cmd": "touch RAN"})
    assert not (tmp_path / "RAN").exists()


@pytest.mark.parametrize("name", ["promises", "may_promise"])
def test_of_a_function_that_promises_a_calculator_the_class_is_named(
    name: str, factories: Path
) -> None:
    with pytest.raises(ConfigError, match='write the class that it returns, "') as caught:
        AseEvaluator.from_import_path(f"factories.{name}", {"sigma": 2.6})
    assert not (factories / "RAN").exists()
    written = str(caught.value).split('"')[1]
    assert written == "ase.calculators.lj.LennardJones"
    AseEvaluator.from_import_path(written, {"sigma": 2.6})


@pytest.mark.parametrize("name", ["says_nothing", "says_what_is_not_there"])
def test_of_other_functions_it_is_said_how_to_find_the_class(name: str, factories: Path) -> None:
    with pytest.raises(
        ConfigError, match=r"call the function once in Python, and print\(type\(calculator"
    ):
        AseEvaluator.from_import_path(f"factories.{name}", {"sigma": 2.6})
    assert not (factories / "RAN").exists()


def test_a_module_that_fails_when_it_is_imported_is_named_with_its_reason(factories: Path) -> None:
    (factories / "fails.py").write_text("raise RuntimeError('no licence')")
    with pytest.raises(
        ConfigError, match=r"fails\.X' cannot be imported \(RuntimeError: no licence"
    ):
        AseEvaluator.from_import_path("fails.X", {})


UNPICKLES = """
import glob, pickle
from pathlib import Path
from ase.calculators.lj import LennardJones

class Pickled(LennardJones):
    def __init__(self, model_paths, more=None):
        super().__init__()
        for path in model_paths if isinstance(model_paths, list) else glob.glob(model_paths):
            pickle.loads(Path(path).read_bytes())
"""


class Evil:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, ("touch RAN",)


@pytest.mark.parametrize("named", ["evil.pkl", "*.pkl", ["evil.pkl"], "/evil.pkl"])
def test_models_that_parameters_name_must_be_trusted(
    named: str | list[str], factories: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(factories / "config"))
    (factories / "unpickles.py").write_text(UNPICKLES)
    (factories / "evil.pkl").write_bytes(pickle.dumps(Evil()))
    named = f"{factories}{named}" if named == "/evil.pkl" else named
    parameters = {"model_paths": named, "more": {"a": [1, "PBE", "\0", "."]}}
    with pytest.raises(ModelError, match=f"run: mlobs model trust {factories}/evil.pkl$"):
        AseEvaluator.from_import_path("unpickles.Pickled", parameters)
    assert not (factories / "RAN").exists()
    trust(factories / "evil.pkl")
    AseEvaluator.from_import_path("unpickles.Pickled", parameters)
    assert (factories / "RAN").exists()


@pytest.mark.parametrize("named", ["~/evil", "~nobody/evil", "bundled:evil", "[e]vil", "e***l"])
def test_whatever_a_calculator_may_take_a_name_for_is_looked_at(
    named: str, factories: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Files of these very names, or what the pattern finds beside a harmless file of that name."""
    monkeypatch.chdir(factories)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(factories / "config"))
    monkeypatch.setenv("HOME", str(factories / "home"))
    (factories / "unpickles.py").write_text(UNPICKLES)
    evil = factories / ("evil" if named in ("[e]vil", "e***l") else named)
    Path(named).parent.mkdir(exist_ok=True)
    Path(named).write_text("harmless\n")
    evil.write_bytes(pickle.dumps(Evil()))
    with pytest.raises(ModelError, match="loading a model file can run any code"):
        AseEvaluator.from_import_path("unpickles.Pickled", {"model_paths": named})
    assert not Path("RAN").exists()
