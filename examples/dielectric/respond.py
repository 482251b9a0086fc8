"""Compute the dielectric function of charges on springs, which is known exactly, in two ways."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
DRIVER = HERE.parents[1] / "drivers" / "mlobs_pes.py"
FIELD = 0.2  # V/angstrom, along z


def run(folder: Path, n_steps: int, field: float, begin: Path | None = None, seed: int = 1) -> None:
    """Run i-PI from the start or from a checkpoint, in a field or without."""
    folder.mkdir(parents=True)
    for path in (HERE / "init.xyz", DRIVER):
        shutil.copy(path, folder)
    client = (HERE / "client.toml").read_text()
    if field:
        client += f'[field]\nvector = [0.0, 0.0, {field}]\nunit = "V/angstrom"\n'
    (folder / "client.toml").write_text(client)
    text = (HERE / "input.xml").read_text()
    text = text.replace("<total_steps> 60000", f"<total_steps> {n_steps}")
    text = text.replace("<seed> 31415", f"<seed> {seed}")
    if begin is not None:
        before, _, rest = text.partition("<initialize nbeads='1'>")
        after = rest.partition("</initialize>")[2]
        chosen = f"<initialize nbeads='1'> <file mode='chk'> {begin} </file> </initialize>"
        text = f"{before}{chosen}{after}"
    (folder / "input.xml").write_text(text)
    ipi = Path(sys.executable).with_name("i-pi")
    subprocess.run([ipi, "input.xml"], cwd=folder, check=True, stdout=subprocess.DEVNULL)


def call(folder: Path, *words: str) -> None:
    """Run a command as a user would type it there."""
    print(" ".join(("mlobs", *words)), flush=True)
    subprocess.run([sys.executable, "-m", "mlobs_client", *words], cwd=folder, check=True)


def main(
    folder: Path,
    n_steps: int = 60000,
    n_starts: int = 12,
    resolution: int = 90,
    least: int = 100,
) -> None:
    """Make all runs, and analyse them with two commands."""
    run(folder / "rest", n_steps, 0.0)
    responses: list[str] = []
    for name, sign in (("up", 1), ("down", -1)):
        run(folder / name, 1000 * (n_starts + 1), sign * FIELD, seed=2 + sign)
        for k in range(1, n_starts + 1):
            after = folder / f"after-{name}-{k}"
            begin = (folder / name / f"simulation.kept_{k}").resolve()
            run(after, 1000, 0.0, begin, seed=10 * k + sign)
            responses += ["--response", f"{after.name}/simulation"]
            responses += ["--field", "0", "0", f"{sign * FIELD}"]
    common = ["rest/simulation", "--temperature", "300", "--skip", "0.2"]
    width = ["--resolution", str(resolution), "--high", "3000"]
    call(folder, "dielectric", *common, *width, *responses, "-o", "dielectric")
    targets = ["--field", "0", "--to", "0.025", "--to", "0.05", "--to", "0.2"]
    targets += ["--least", str(least)]
    call(folder, "reweight", *common, *targets, "-o", "reweighted")


if __name__ == "__main__":
    main(Path("dielectric"))
