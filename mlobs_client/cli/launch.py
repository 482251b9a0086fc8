"""``mlobs launch``: a run as a job of a cluster."""

from __future__ import annotations

import logging
import os
import shlex
import shutil
import sys
from pathlib import Path

import click

from mlobs_client import config as client_file
from mlobs_client.cli.check import stop_at_errors
from mlobs_client.cli.logs import log_to_console
from mlobs_client.cli.options import files_of_a_run
from mlobs_client.config import ClientConfig
from mlobs_client.errors import ConfigError, LaunchError
from mlobs_client.launch import slurm


@click.command(
    epilog="Examples:  mlobs launch --slurm input.xml client.toml -n 4 --time 24:00:00 --submit   |"
    "   mlobs launch --slurm input.xml client.toml --sbatch=--partition=gpu --print"
)
@files_of_a_run
@click.option("--slurm", "for_slurm", is_flag=True, required=True, help="For Slurm.")
@click.option("--time", default="24:00:00", show_default=True, help="Of one job.")
@click.option(
    "--sbatch",
    "options",
    multiple=True,
    metavar="OPTION",
    help="One more option of sbatch, for example --sbatch=--partition=long; may be repeated.",
)
@click.option("--no-check", is_flag=True, help="Do not look for mistakes in the files first.")
@click.option("--print", "only_print", is_flag=True, help="Print the script, and write nothing.")
@click.option("--submit", is_flag=True, help="Submit it, too.")
def command(
    input_xml: Path,
    clients: tuple[Path, ...],
    n_clients: int,
    for_slurm: bool,
    time: str,
    options: tuple[str, ...],
    no_check: bool,
    only_print: bool,
    submit: bool,
) -> None:
    """Write INPUT.sh: i-PI with INPUT.xml and N clients as a job of one node.

    The job stops with a RESTART three minutes before its time is up, and puts itself into the queue
    again until all steps are done; after a node has failed, it goes on from the newest RESTART or
    <checkpoint>. 'scancel' stops it with a RESTART; submitted again, it goes on. The script is
    yours to read and to change, and needs nothing of ours but 'mlobs run' on the node.

    Exit status: 0, or 1 with one line that says what is wrong.
    """
    if only_print and submit:
        raise click.UsageError("--print writes nothing that --submit could submit; give one")
    if not no_check:
        stop_at_errors(input_xml, clients, n_clients, log_to_console(logging.WARNING))
    folder = input_xml.parent.resolve()
    configs = [client_file.load(path) for path in clients]
    job = slurm.Job(
        name=input_xml.stem,
        time=time,
        cpus=1 + n_clients * sum(config.threads for config in configs),
        gpus=int(any(_uses_gpu(config) for config in configs)),
        options=options,
    )
    files = [os.path.relpath(path.resolve(), folder) for path in clients]
    run = [sys.executable, "-m", "mlobs_client", "run", input_xml.name, *files]
    text = slurm.script(job, folder, [*run, "-n", str(n_clients), "--resume"])
    if only_print:
        click.echo(text, nl=False)
        return
    path = folder / f"{input_xml.stem}.sh"
    if path.exists() and path.read_text() != text:
        raise ConfigError(
            f"{path} is there already, and would be another job now; submit it as it is "
            f"(sbatch {path}), or remove it"
        )
    is_new = not path.exists()
    path.write_text(text)
    path.chmod(0o755)
    if not submit:
        words = f"cd {shlex.quote(str(folder))}; sbatch {shlex.quote(path.name)}"
        click.echo(f"{path}: submit it with: {words}")
        return
    try:
        click.echo(f"{path}: job {slurm.submit(path)}")
    except LaunchError:
        if is_new and shutil.which("sbatch") is not None:  # it was refused: make way for another
            path.unlink()
        raise


def _uses_gpu(config: ClientConfig) -> bool:
    tables = (config.potential, config.dipole, config.polarizability)
    return any(getattr(table, "device", "cpu") != "cpu" for table in tables)
