"""``mlobs launch``: write and submit a job of Slurm or PBS."""

from __future__ import annotations

import logging
import operator
import os
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

import click

from mlobs_client.cli import options
from mlobs_client.cli.check import stop_at_errors
from mlobs_client.cli.logs import log_to_console
from mlobs_client.cli.options import files_of_a_run, load_clients, renamed
from mlobs_client.client.service import ClientFile
from mlobs_client.errors import ConfigError, LaunchError
from mlobs_client.ipi import input as ipi_input
from mlobs_client.ipi.input import IpiInput
from mlobs_client.launch import jobs
from mlobs_client.launch.drivers import read_commands
from mlobs_client.launch.service import check_relayed, check_service
from mlobs_client.launch.site import Site, read_site


@click.command(
    epilog="Examples:  mlobs launch input.xml client.toml -n 4 --time 24:00:00 --submit   |   "
    "mlobs launch input.xml client.toml -n 4 --gpus a100:4 --site site.toml --print   |   "
    "mlobs launch input.xml client.toml -n 12 --nodes 3 --gpus 4 --print"
)
@files_of_a_run
@options.site
@click.option(
    "--time", metavar="TIME",
    help="Time limit of one job, in any format that sbatch accepts.  [default: walltime of the "
    "site file, or 24:00:00]",
)  # fmt: skip
@click.option(
    "--nodes",
    type=click.IntRange(1),
    default=1,
    show_default=True,
    help="Number of nodes; i-PI runs on the first one, clients on all of them.",
)
@click.option(
    "--gpus",
    type=options.Gpus(),
    metavar="[TYPE:]N",
    help="Number of GPUs per node, and their type, such as a100:4.  [default: 1 if a model has "
    'device = "cuda", else 0; the type of the site file]',
)
@click.option(
    "--listen",
    metavar="ADDRESS",
    help="With several nodes, name or address of the first in the network of the clients; see "
    "'mlobs run --listen'.  [default: the name of the node]",
)
@click.option(
    "--driver",
    "drivers",
    multiple=True,
    metavar="COMMAND",
    help="Start another program on the node of i-PI, with one core; see 'mlobs run --driver'. May "
    "be repeated.",
)
@renamed("--beside", "--driver")
@click.option(
    "--sbatch",
    "--qsub",
    "job_options",
    multiple=True,
    metavar="OPTION",
    help="Add an option for sbatch or qsub, such as --sbatch=--partition=long; it replaces an "
    "option of the same name in the site file. May be repeated.",
)
@options.no_check
@click.option("--print", "only_print", is_flag=True, help="Print the script, and write nothing.")
@click.option("--submit", is_flag=True, help="Submit the job after writing it.")
def command(
    input_xml: Path,
    clients: tuple[Path, ...],
    n_clients: tuple[int, ...],
    site: Path | None,
    time: str | None,
    nodes: int,
    gpus: tuple[str | None, int] | None,
    listen: str | None,
    drivers: tuple[str, ...],
    job_options: tuple[str, ...],
    no_check: bool,
    only_print: bool,
    submit: bool,
) -> None:
    """Write INPUT.sh, a job of Slurm or PBS that runs i-PI with INPUT.xml and N clients.

    The job stops with a RESTART three minutes before its time limit, and requeues itself until all
    steps are done. After a node has failed, it continues from the newest RESTART or <checkpoint>.
    'scancel' stops it with a RESTART; when it is submitted again, it continues. You can read and
    change the script; it needs only 'mlobs run' on the nodes.

    What all jobs on a cluster need is in the site file; options of the command line take
    precedence. All its settings may be left out:

    \b
        scheduler = "slurm"          # or "pbs"
        account = "chem"
        partition = "gpu"
        memory = "32G"               # per node
        gpu = "a100"                 # type
        walltime = "24:00:00"
        mail = "me@example.org"
        modules = ["cuda"]
        before = ["source ~/mlobs/bin/activate"]
        options = ["--qos=long"]
        continuation = "chain"       # submit the next job, where jobs cannot requeue themselves

    Exit status: 0, or 1 with one line that names the problem.
    """
    if only_print and submit:
        raise click.UsageError(
            "--print writes no file that --submit could submit; give only one of them"
        )
    cluster = read_site(site)
    if not no_check:
        console = log_to_console(logging.WARNING)
        stop_at_errors(input_xml, clients, n_clients, console, others_serve=bool(drivers))
    files = load_clients(clients, n_clients)
    ipi = ipi_input.read(input_xml)
    _check(ipi, files, drivers, nodes, cluster)
    any_gpu = int(any(file.uses_gpu for file in files))
    gpu, n_gpus = (None, any_gpu) if gpus is None else gpus
    tasks, cpus = _count_cores(files, 1 + len(drivers), nodes > 1)
    job = jobs.Job(
        path=input_xml.parent.resolve() / f"{input_xml.stem}.sh",
        command=_command(input_xml, files, nodes > 1, listen, drivers),
        time=time or cluster.walltime,
        cpus=cpus,
        gpus=n_gpus,
        gpu=gpu or cluster.gpu,
        nodes=nodes,
        tasks=tasks,
        options=job_options,
        checkpoints=[os.path.relpath(ipi.file(name), ipi.path.parent) for name in ipi.checkpoints],
    )
    text = jobs.script(job, cluster)
    if only_print:
        click.echo(text, nl=False)
    else:
        _write(job.path, text, cluster, submit=submit)


def _check(
    ipi: IpiInput, files: Sequence[ClientFile], drivers: Sequence[str], nodes: int, site: Site
) -> None:
    """Refuse a run that the nodes could not start."""
    check_service(ipi, files, others_serve=bool(drivers))
    read_commands(drivers, ipi)
    if nodes == 1:
        return
    if not site.commands.has_srun:
        raise ConfigError(
            f"--nodes {nodes}: clients on several nodes are started by srun of Slurm, and the site "
            f"file has scheduler = {site.scheduler!r}; give --nodes 1"
        )
    check_relayed(ipi)


def _command(
    input_xml: Path,
    files: Sequence[ClientFile],
    several_nodes: bool,
    listen: str | None,
    drivers: Sequence[str],
) -> list[str]:
    """Return the command of the run, in the folder of the input."""
    folder = input_xml.parent.resolve()
    names = [os.path.relpath(file.path.resolve(), folder) for file in files]
    run = [sys.executable, "-m", "mlobs_client", "run", input_xml.name, *names]
    run += [word for file in files for word in ("-n", str(file.n_processes))]
    run += ["--resume", *(["--srun"] if several_nodes else [])]
    run += ["--listen", listen] if listen else []
    return run + [word for one in drivers for word in ("--driver", one)]


def _count_cores(
    files: Sequence[ClientFile], n_others: int, several_nodes: bool
) -> tuple[int, int]:
    """Return the tasks of the job and the cores of each; other programs have one core each."""
    threads = [file.config.threads for file in files]
    n_clients = [file.n_processes for file in files]
    if several_nodes:
        return n_others + sum(n_clients), max(threads)
    return 1, n_others + sum(map(operator.mul, n_clients, threads))


def _write(path: Path, text: str, site: Site, *, submit: bool) -> None:
    is_new = jobs.write(path, text, site.commands)
    if not submit:
        click.echo(f"{path}: submit it with: {jobs.how_to_submit(path, site.commands)}")
        return
    try:
        click.echo(f"{path}: job {jobs.submit(path, site.commands)}")
    except LaunchError:
        if is_new and shutil.which(site.commands.submit[0]) is not None:
            path.unlink()  # it was refused: make way for another
        raise
