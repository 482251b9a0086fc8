"""Atoms that are fixed in ASE only, and the list that fixes them in i-PI."""

import re

import ase.io
import numpy as np
from ase.constraints import FixAtoms, FixBondLength, FixCartesian

from mlobs_client.check.initial_state import InitialState
from mlobs_client.check.ipi_parser import parse_with_ipi

MASSES = np.full(3, 1e4)


def constrain(case, *constraints):
    atoms = ase.io.read(case.structure)
    atoms.set_constraint(list(constraints))
    ase.io.write(case.structure, atoms, format="extxyz")


def judge(case, *fixed):
    return case.judge_structure(case.parse(state=InitialState(MASSES, fixed=fixed)))


def test_atoms_fixed_by_ase_alone_are_a_warning_whose_list_fixes_them_in_ipi(case, texts):
    constrain(case, FixAtoms([2, 0]))
    (warning,) = texts(judge(case), "warning")
    assert "init.xyz fixes 2 atoms" in warning
    assert "input.xml fixes none" in warning
    pasted = re.search("<fixatoms>.*</fixatoms>", warning)[0]
    case.replace(case.input, "</motion>", f"{pasted} </motion>")
    findings = case.judge_structure(parse_with_ipi(case.input))
    assert texts(findings, "warning") == []
    assert "i-PI fixes 2 atoms (0, 2), as init.xyz does" in " ".join(texts(findings, "ok"))


def test_other_atoms_are_a_warning_too(case, texts):
    constrain(case, FixAtoms([1]))
    (warning,) = texts(judge(case, 0, 1, 2), "warning")
    assert "init.xyz fixes 1 atoms (1)" in warning
    assert "input.xml fixes 1 atoms (0)" in warning
    assert "<fixatoms> [1] </fixatoms>" in warning


def test_single_coordinates_have_a_list_of_their_own(case, texts):
    constrain(case, FixCartesian([0, 2], (False, True, True)))
    (warning,) = texts(judge(case), "warning")
    assert "<fixatoms_dof> [1, 2, 7, 8] </fixatoms_dof>" in warning
    assert texts(judge(case, 1, 2, 7, 8), "warning") == []


def test_what_only_ipi_fixes_is_meant(case, texts):
    assert texts(judge(case, 0, 1, 2), "warning") == []


def test_constraints_that_are_no_fixed_atoms_are_named(case, texts):
    case.replace(case.client, "init.xyz", "init.json")
    atoms = ase.io.read(case.structure)
    atoms.set_constraint(FixBondLength(0, 1))
    ase.io.write(case.folder / "init.json", atoms)
    (warning,) = texts(judge(case), "warning")
    assert "FixBondLength" in warning
