from mlobs_client.check.files import check_physics
from mlobs_client.check.finding import errors

WRONG = '''
import numpy as np
from ase.calculators.calculator import Calculator, all_changes

class Spring(Calculator):
    """Springs to the origin; the force of the last atom has the wrong sign."""

    implemented_properties = ("energy", "forces")

    def __init__(self, sign=1.0):
        super().__init__()
        self.sign = sign

    def calculate(self, atoms=None, properties=("energy",), system_changes=all_changes):
        super().calculate(atoms, properties, system_changes)
        forces = -atoms.positions.copy()
        forces[-1] *= self.sign
        self.results = {"energy": 0.5 * float(np.sum(atoms.positions**2)), "forces": forces}
'''


def use_spring(case, monkeypatch, sign):
    (case.folder / "wrong_spring.py").write_text(WRONG)
    monkeypatch.syspath_prepend(case.folder)
    spring = f'kind = "ase"\ncalculator = "wrong_spring.Spring"\nparameters = {{ sign = {sign} }}'
    case.replace(case.client, 'kind = "toy"\nname = "qtip4pf"', spring)
    case.replace(case.client, '["dipole"]', "[]")
    case.replace(case.client, "structure =", 'virial = "none"\nstructure =')


def test_a_right_model_in_a_field_passes(case):
    case.add_field()
    findings = list(check_physics([case.client]))
    assert errors(findings) == []
    texts = " ".join(finding.what for finding in findings)
    assert "forces" in texts
    assert "UniformField" in texts


def test_a_right_model_without_a_virial_passes(case, monkeypatch):
    use_spring(case, monkeypatch, 1.0)
    assert errors(check_physics([case.client])) == []


def test_a_force_of_the_wrong_sign_is_found(case, monkeypatch):
    use_spring(case, monkeypatch, -1.0)
    found = errors(check_physics([case.client]))
    assert found
    assert "do not run" in found[0].remedy
