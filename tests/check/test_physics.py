import pytest

from mlobs_client.check.files import check_all, check_physics
from mlobs_client.check.finding import errors

WRONG = '''
import numpy as np
from ase.calculators.calculator import Calculator, all_changes

class Spring(Calculator):
    """Springs to the origin, or to the first structure; errors of the force of the last atom."""

    implemented_properties = ("energy", "forces")

    def __init__(self, sign=1.0, all_electrons=0.0, at_rest=False, error=0.0):
        super().__init__()
        self.sign = sign
        self.all_electrons = all_electrons
        self.home = None if at_rest else 0.0
        self.error = error

    def calculate(self, atoms=None, properties=("energy",), system_changes=all_changes):
        super().calculate(atoms, properties, system_changes)
        if self.home is None:
            self.home = atoms.positions.copy()
        forces = self.home - atoms.positions
        energy = 0.5 * float(np.sum(forces**2)) + self.all_electrons
        forces[-1] = self.sign * forces[-1] + self.error
        self.results = {"energy": energy, "forces": forces}
'''


HYDROGEN_CHLORIDE = """2
Properties=species:S:1:pos:R:3 pbc="F F F"
H 0.0 0.0 0.0
Cl 0.0 0.0 1.2746
"""


def use_spring(case, monkeypatch, sign, all_electrons=0.0, at_rest=False, error=0.0):
    (case.folder / "wrong_spring.py").write_text(WRONG)
    monkeypatch.syspath_prepend(case.folder)
    parameters = (
        f"{{ sign = {sign}, all_electrons = {all_electrons}, "
        f"at_rest = {str(at_rest).lower()}, error = {error} }}"
    )
    spring = f'kind = "ase"\ncalculator = "wrong_spring.Spring"\nparameters = {parameters}'
    case.replace(case.client, 'kind = "toy"\nname = "qtip4pf"', spring)
    case.replace(case.client, '["dipole"]', "[]")
    case.replace(case.client, "structure =", 'virial = "none"\nstructure =')


def test_a_right_model_in_a_field_passes(case):
    case.add_field()
    findings = list(check_physics([case.client]))
    assert errors(findings) == []
    texts = " ".join(finding.what for finding in findings)
    assert "forces" in texts
    assert "[field]" in texts


def test_a_right_model_without_a_virial_passes(case, monkeypatch):
    use_spring(case, monkeypatch, 1.0)
    assert errors(check_physics([case.client])) == []


def test_a_force_of_the_wrong_sign_is_found(case, monkeypatch):
    use_spring(case, monkeypatch, -1.0)
    found = errors(check_physics([case.client]))
    assert found
    assert "do not run" in found[0].remedy


def test_near_a_minimum_a_force_may_have_the_error_of_self_consistent_charges(case, monkeypatch):
    # forces of 0.01 eV/angstrom, of which 3e-6 eV/angstrom are more than 1e-4; at 0.1 bohr from
    # the minimum, 1e-4 of the force are 5e-6 eV/angstrom
    use_spring(case, monkeypatch, 1.0, at_rest=True, error=3e-6)
    assert errors(check_physics([case.client])) == []


@pytest.mark.parametrize(("sign", "error"), [(-1.0, 0.0), (1.0, 1e-5), (1.01, 0.0)])
def test_near_a_minimum_a_wrong_force_is_found(case, monkeypatch, sign, error):
    use_spring(case, monkeypatch, sign, at_rest=True, error=error)
    assert errors(check_physics([case.client]))


def test_hydrogen_chloride_with_tblite_passes(case):
    pytest.importorskip("tblite", reason="tblite is not installed: pip install '.[tblite]'")
    case.structure.write_text(HYDROGEN_CHLORIDE)
    tblite = 'kind = "ase"\ncalculator = "tblite.ase.TBLite"\nparameters = { verbosity = 0 }'
    case.replace(case.client, 'kind = "toy"\nname = "qtip4pf"', tblite)
    assert errors(check_physics([case.client])) == []


@pytest.mark.usefixtures("ipi_in_this_process")
def test_energies_of_all_electrons_in_nine_digits_are_a_warning_with_the_step(
    case, texts, monkeypatch
):
    # 64 molecules of water: 64 x 76.4 Eh = 133 000 eV, of which the ninth digit is 1 meV
    use_spring(case, monkeypatch, 1.0, all_electrons=-133_000.0)
    case.replace(case.input, "floatformat='%25.17e'", "")
    (warning,) = [
        text
        for text in texts(list(check_all(case.input, [case.client])), "warning")
        if "conserved" in text
    ]
    assert "-132999 eV" in warning  # the springs have 1 eV
    assert "steps of 1 meV" in warning
    assert "floatformat='%25.17e'" in warning


@pytest.mark.usefixtures("ipi_in_this_process")
def test_all_digits_are_enough_for_all_electrons(case, texts, monkeypatch):
    use_spring(case, monkeypatch, 1.0, all_electrons=-133_000.0)
    warnings = texts(list(check_all(case.input, [case.client])), "warning")
    assert [text for text in warnings if "conserved" in text] == []


def test_models_that_give_no_virial_are_said_once_with_a_remedy_that_helps(
    case, texts, monkeypatch
):
    use_spring(case, monkeypatch, 1.0)
    without = case.client.read_text().replace('virial = "none"\n', "")
    periodic = case.structure.read_text().replace("F F F", "T T T")
    case.structure.write_text(periodic)
    case.client.write_text(without)
    (error,) = texts(list(check_physics([case.client])), "error")
    assert 'write virial = "none"' in error
    case.client.write_text(f'virial = "none"\n{without}')
    said = texts(list(check_physics([case.client])), "error")
    assert not any("virial" in text for text in said)


def test_a_structure_beyond_the_limits_is_an_error_before_the_run(case, texts, monkeypatch):
    use_spring(case, monkeypatch, 1.0)
    case.client.write_text(case.client.read_text() + "[limits]\nforce = 0.5\n")
    (error,) = texts(list(check_physics([case.client])), "error")
    assert "more than [limits] force = 0.5" in error
    assert "refused" not in error  # nothing is kept: it is the user's own structure
    assert sorted(path.name for path in case.folder.iterdir() if "refused" in path.name) == []


def test_observables_that_are_due_at_some_steps_are_not_called_without_effect(case, texts):
    case.client.write_text(case.client.read_text() + "stride = 2\n")
    findings = list(check_physics([case.client]))
    assert texts(findings, "error") == texts(findings, "warning") == []


def test_a_molecule_needs_no_virial_and_a_crystal_does(case, texts, monkeypatch):
    use_spring(case, monkeypatch, 1.0)
    case.replace(case.client, 'virial = "none"\n', "")
    molecule = list(check_physics([case.client]))
    assert errors(molecule) == []
    assert "no virial, and a structure without periodicity" in " ".join(texts(molecule, "ok"))
    case.replace(case.client, "structure =", "pbc = [true, true, true]\nstructure =")
    (error,) = errors(check_physics([case.client]))
    assert "no strain derivative" in error.what
