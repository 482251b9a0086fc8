"""``mlobs launch``: write and submit a Slurm job."""

from __future__ import annotations

import logging
import operator
import os
import shutil
import sys
from pathlib import Path

import click

from mlobs_client.cli import options
from mlobs_client.cli.check import stop_at_errors
from mlobs_client.cli.logs import log_to_console
from mlobs_client.cli.options import files_of_a_run, load_clients, renamed
from mlobs_client.errors import LaunchError
from mlobs_client.ipi import input as ipi_input
from mlobs_client.launch import slurm
from mlobs_client.launch.drivers import read_commands
from mlobs_client.launch.service import check_relayed, check_service


@click.command(
    epilog="Examples:  mlobs launch input.xml client.toml -n 4 --time 24:00:00 --submit   |   "
    "mlobs launch input.xml client.toml -n 12 --nodes 3 --gpus 4 --print"
)
@files_of_a_run
@click.option(
    "--time", default="24:00:00", show_default=True, metavar="TIME",
    help="Time limit of one job, in any format that sbatch accepts.",
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
    type=click.IntRange(0),
    help='Number of GPUs per node.  [default: 1 if a model has device = "cuda", else 0]',
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
    "sbatch_options",
    multiple=True,
    metavar="OPTION",
    help="Add an option for sbatch, such as --sbatch=--partition=long; may be repeated.",
)
@options.no_check
@click.option("--print", "only_print", is_flag=True, help="Print the script, and write nothing.")
@click.option("--submit", is_flag=True, help="Submit the job after writing it.")
def command(
    input_xml: Path,
    clients: tuple[Path, ...],
    n_clients: tuple[int, ...],
    time: str,
    nodes: int,
    gpus: int | None,
    listen: str | None,
    drivers: tuple[str, ...],
    sbatch_options: tuple[str, ...],
    no_check: bool,
    only_print: bool,
    submit: bool,
) -> None:
    """Write INPUT.sh, a Slurm job that runs i-PI with INPUT.xml and N clients.

    The job stops with a RESTART three minutes before its time limit, and requeues itself until all
    steps are done. After a node has failed, it continues from the newest RESTART or <checkpoint>.
    'scancel' stops it with a RESTART; when it is submitted again, it continues. You can read and
    change the script; it needs only 'mlobs run' on the nodes.

    Exit status: 0, or 1 with one line that names the problem.
    """
    if only_print and submit:
        raise click.UsageError(
            "--print writes no file that --submit could submit; give only one of them"
        )
    if not no_check:
        console = log_to_console(logging.WARNING)
        stop_at_errors(input_xml, clients, n_clients, console, others_serve=bool(drivers))
    folder = input_xml.parent.resolve()
    files = load_clients(clients, n_clients)
    ipi = ipi_input.read(input_xml)
    check_service(ipi, files, others_serve=bool(drivers))
    read_commands(drivers, ipi)
    if nodes > 1:
        check_relayed(ipi)
    threads = [file.config.threads for file in files]
    several, n_others = nodes > 1, 1 + len(drivers)  # with i-PI
    job = slurm.Job(
        name=input_xml.stem,
        time=time,
        cpus=max(threads) if several else n_others + sum(map(operator.mul, n_clients, threads)),
        gpus=int(any(file.uses_gpu for file in files)) if gpus is None else gpus,
        nodes=nodes,
        tasks=n_others + sum(n_clients) if several else 1,
        options=sbatch_options,
    )
    names = [os.path.relpath(path.resolve(), folder) for path in clients]
    run = [sys.executable, "-m", "mlobs_client", "run", input_xml.name, *names]
    run += [word for n in n_clients for word in ("-n", str(n))]
    run += ["--resume", *(["--srun"] if several else [])]
    run += ["--listen", listen] if listen else []
    run += [word for one in drivers for word in ("--driver", one)]
    text = slurm.script(job, folder, run)
    if only_print:
        click.echo(text, nl=False)
        return
    path = folder / f"{input_xml.stem}.sh"
    is_new = slurm.write(path, text)
    if not submit:
        click.echo(f"{path}: submit it with: {slurm.how_to_submit(path)}")
        return
    try:
        click.echo(f"{path}: job {slurm.submit(path)}")
    except LaunchError:
        if is_new and shutil.which("sbatch") is not None:  # it was refused: make way for another
            path.unlink()
        raise
