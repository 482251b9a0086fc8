"""``make faults``: inputs as people write them, each by ``mlobs run``, with its check.

``python inputs.py NAME`` runs one and writes nothing. Those that i-PI runs have to end with exit
status 0, all steps done; the others have to be refused before i-PI starts.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from functools import partial
from pathlib import Path

from report import ROOT, Figure, run

sys.path.insert(0, str(ROOT / "tests"))

from public_inputs import Input
from public_inputs_that_do_not import BAD
from public_inputs_that_run import GOOD

PATIENCE = 120.0  # s
STARTED = "i-pi.log"
"""Of ``mlobs run``, from when it starts i-PI on."""


def carry_out(name: str, case: Input, *, runs: bool) -> list[Figure]:
    """Run one input; its figure is the exit status of ``mlobs run``."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        path, clients = case.write(folder)
        if path.parent != folder:  # as the check says that it has to be
            path = Path(shutil.copy(path, folder))
        command = [sys.executable, "-m", "mlobs_client", "run", path.name]
        command += [*(client.name for client in clients), "-n", str(case.n_clients)]
        try:
            done = subprocess.run(
                command, cwd=folder, capture_output=True, text=True, timeout=PATIENCE
            )
        except subprocess.TimeoutExpired:
            return [Figure(name, -1.0, None, "1", f"waits for more than {PATIENCE:g} s", False)]
        has_started = (folder / STARTED).exists()
    reference = "0: runs" if runs else "1: refused before i-PI starts"
    passed = done.returncode == 0 if runs else done.returncode == 1 and not has_started
    if not passed:
        print(f"{name}: {done.stdout[-1000:]}{done.stderr[-2000:]}")
    return [Figure(name, float(done.returncode), None, "1", reference, passed)]


STUDIES = {
    **{name: partial(carry_out, name, case, runs=True) for name, case in GOOD.items()},
    **{
        f"not: {name}": partial(carry_out, f"not: {name}", case, runs=False)
        for name, (case, _) in BAD.items()
    },
}

if __name__ == "__main__":
    sys.exit(run("inputs", STUDIES))
