"""Where one request is one step of i-PI, and where it is not."""

import pytest

from mlobs_client.check.counting import find_obstacle
from mlobs_client.check.ipi_input import read


def judge(case, n_clients=1):
    ipi = read(case.input)
    return find_obstacle(ipi, ipi.forcefields[0], n_clients)


@pytest.fixture
def batched(case):
    case.replace(case.input, "</address>", "</address> <batch_size> 4 </batch_size>")
    return case


@pytest.mark.parametrize("mode", ["nve", "nvt", "npt", "nst"])
def test_one_client_with_all_beads_in_one_batch_counts(batched, mode):
    batched.replace(batched.input, "<dynamics mode='nve'", f"<dynamics mode='{mode}'")
    assert judge(batched) is None


def test_one_structure_needs_no_batch(case):
    case.replace(case.input, "nbeads='4'", "nbeads='1'")
    assert judge(case) is None


def test_beads_in_several_requests_are_an_obstacle_whose_remedy_is_the_batch_size(case):
    reason, remedy = judge(case)
    assert "1 of the 4 beads" in reason
    assert "<batch_size> 4 </batch_size>" in remedy


def test_the_batch_of_a_contracted_force_is_that_of_its_beads(batched):
    batched.replace(batched.input, "forcefield='mlobs'/>", "forcefield='mlobs' nbeads='2'/>")
    assert "4 of the 2 beads" in judge(batched).reason
    batched.replace(batched.input, "<batch_size> 4", "<batch_size> 2")
    assert judge(batched) is None


@pytest.mark.parametrize("n_clients", [0, 2])
def test_any_number_of_clients_but_one_is_an_obstacle(batched, n_clients):
    assert "-n 1" in judge(batched, n_clients).remedy


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("motion mode='dynamics'", "motion mode='minimize'", "minimize"),
        ("motion mode='dynamics'", "motion mode='driven_dynamics'", "driven_dynamics"),
        ("<dynamics mode='nve'", "<dynamics mode='sc'", "mode='sc'"),
        ("<timestep", "<nmts> [1, 4] </nmts> <timestep", "<nmts>"),
        ("</system>", "</system> <system/>", "<system>"),
        ("</system>", "</system> <smotion mode='remd'/>", "remd"),
        ("potential ]", "scaledcoords(fd_delta=1e-2) ]", "scaledcoords"),
        ("<forces>", "<forces> <force forcefield='mlobs'/>", "exactly one <force>"),
        (
            "<ensemble>",
            "<ensemble> <bias> <force forcefield='mlobs'/> </bias>",
            "exactly one <force>",
        ),
    ],
)
def test_evaluations_that_are_not_steps_are_an_obstacle(batched, old, new, said):
    batched.replace(batched.input, old, new)
    obstacle = judge(batched)
    assert said in obstacle.reason
    assert "mlobs observe" in obstacle.remedy


def test_a_client_inside_of_i_pi_is_not_told_the_step(case):
    case.input.write_text(case.input.read_text().replace("ffsocket", "ffdirect"))
    assert "<ffdirect>" in judge(case).reason
