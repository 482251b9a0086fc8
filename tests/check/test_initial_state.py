"""What i-PI itself says of the state in which it starts."""

import pytest

from mlobs_client.check.ipi_parser import parse_with_ipi


def test_units_levels_of_time_steps_beads_and_fixed_atoms_are_those_of_ipi(case):
    case.replace(case.input, "forcefield='mlobs'/>", "forcefield='mlobs'> MTS </force>")
    case.replace(case.input, "MTS", "<mts_weights> [ 0, 0.5, 0.5 ] </mts_weights>")
    case.replace(case.input, "</dynamics>", "<nmts> [ 1, 2, 3 ] </nmts> </dynamics>")
    case.replace(case.input, "</motion>", "<fixatoms> [ 2, 0 ] </fixatoms> </motion>")
    case.replace(case.structure, "\nH 0.757", "\nO 0.757")
    state = parse_with_ipi(case.input).state
    # i-PI's constants are of an older CODATA, and its masses of another table
    oxygen, hydrogen = 15.9994 * 1822.888486, 1.00794 * 1822.888486
    assert state.masses.tolist() == pytest.approx([oxygen, oxygen, hydrogen], rel=1e-4)
    assert state.temperatures == pytest.approx([300.0 / 315775.0248], rel=1e-5)
    assert state.timestep == pytest.approx(0.25 / 6.0 * 41.341373336, rel=1e-5)
    assert state.fixed == (0, 1, 2, 6, 7, 8)
    # 12 normal numbers squared: sqrt(2/12) = 0.41
    assert state.velocity_temperature == pytest.approx(300.0 / 315775.0248, rel=3 * 0.41)
