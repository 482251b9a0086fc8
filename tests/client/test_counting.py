"""Where the structures that a client answers tell the steps of i-PI, and where not."""

import json
import subprocess
import sys

import pytest
from ipi_runs import OSCILLATORS, make_input

from mlobs_client.client.counting import DISPLACING, find_obstacle
from mlobs_client.ipi.input import read


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


def test_a_force_without_weight_is_evaluated_for_outputs_only_which_is_an_obstacle(batched):
    batched.replace(batched.input, "forcefield='mlobs'/>", "forcefield='mlobs' weight='0'/>")
    reason, remedy = judge(batched)
    assert "weight='0'" in reason
    assert "1e-12" in remedy


def test_a_client_inside_of_i_pi_is_not_told_the_step(case):
    case.input.write_text(case.input.read_text().replace("ffsocket", "ffdirect"))
    assert "<ffdirect>" in judge(case).reason


ASK_IPI = """
import contextlib, io, json
import numpy as np
from ipi.engine.simulation import Simulation

simulation = Simulation.load_from_xml(open("input.xml"), custom_verbosity="quiet", read_only=True)
(system,) = simulation.syslist
(forcefield,) = simulation.fflist.values()
n_evaluations = 0

def evaluate(request):
    global n_evaluations
    n_evaluations += 1
    q = request["pos"]
    request["result"] = [1e-3 * (q**2).sum() + 0.1, -2e-3 * q, np.zeros((3, 3)), {"raw": ""}]
    request["status"] = "Done"
    request._event_done.set()

forcefield.evaluate = evaluate
displacing = set()
for table, names in (
    (system.properties, system.properties.property_dict),
    (system.trajs, system.trajs.traj_dict),
):
    for name in names:
        for arguments in ("", "(0)", "(0.1;0;0)", "(1.1;H)"):
            system.beads.q[0, 0] += 1e-3
            system.forces.f
            before = n_evaluations
            with contextlib.suppress(BaseException), contextlib.redirect_stdout(io.StringIO()):
                table[name + arguments]
            if n_evaluations > before:
                displacing.add(name)
print(json.dumps(sorted(displacing)))
"""


def test_every_output_for_which_i_pi_evaluates_displaced_structures_is_known(tmp_path):
    (tmp_path / "init.xyz").write_text(OSCILLATORS)
    dummy = "<ffdirect name='mlobs' pbc='False' threaded='False'> <pes> dummy </pes> </ffdirect>"
    output = "<output> <properties> [ step ] </properties> </output>"
    (tmp_path / "input.xml").write_text(make_input(output, dummy, beads=4, mode="nvt"))
    command = [sys.executable, "-W", "ignore", "-c", ASK_IPI]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=100)
    assert done.returncode == 0, done.stderr
    found = set(json.loads(done.stdout.splitlines()[-1]))
    assert {"scaledcoords", "isotope_zetasc"} <= found  # else the question is wrong
    assert found <= DISPLACING
