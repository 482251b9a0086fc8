"""The command ``mlobs``: one file per subcommand, imported only when it is called.

Exit status: 0 when all went well, 1 for an error of ours (one line on stderr), 2 for wrong usage,
128 + n after signal n.
"""

from __future__ import annotations

import errno
import importlib
import signal
import sys
from typing import Any, Final, NoReturn

import click

from mlobs_client.errors import MlobsError

__all__ = ["main"]

# command -> what `mlobs --help` says of it; the module has the same name, with _ for -
COMMANDS: Final[dict[str, str]] = {
    "demo": "Quantum water in an electric field: from nothing to figures in about 8 minutes.",
    "init": "Write a ready input.xml and client.toml to start from.",
    "check": "Find mistakes in an input.xml and client.toml before they cost an allocation.",
    "compile": "Compile the networks of a client file ahead of its run.",
    "bench": "Measure your models on this machine, and say how to run them fastest.",
    "run": "Run i-PI and N clients, here or on all nodes of a job.",
    "launch": "Write a run as a job of Slurm that goes on until all steps are done.",
    "campaign": "Carry out many runs with parameters, some from the ends of others.",
    "field-scan": "Carry out runs in static fields: polarization, structure and diffusion.",
    "client": "Run one socket client.",
    "observe": "Evaluate observables afterwards along any trajectory.",
    "vdos": "Vibrational density of states from velocities, with error bars.",
    "ir": "Infrared absorption n(w)alpha(w) from dipoles, with error bars.",
    "dielectric": "Dielectric function from fluctuations, and from a field switched off.",
    "reweight": "Averages in fields that were not simulated, with their effective samples.",
    "oxidation": "Oxidation number of an atom from the dipole along a closed path.",
    "train": "Train committees of dipoles on any branch, polarizabilities, energies with dipoles.",
    "calibrate": "Calibrate the spread of committees on labelled structures.",
    "model": "Show model files and say which of them you trust.",
}

FULL: Final = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
"""What writing to a full disk, beyond a quota and beyond a limit of the shell ends with."""


class _LazyGroup(click.Group):
    """Imports a subcommand when it is used: ``mlobs --help`` must not wait for torch."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f"mlobs_client.cli.{cmd_name.replace('-', '_')}")
        command: click.Command = module.command
        command.name = cmd_name  # for the reference in docs/
        return command

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            click.echo("mlobs: interrupted", err=True)
            sys.exit(128 + signal.SIGINT)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.group(
    cls=_LazyGroup,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Start with:  mlobs init water-nvt; mlobs check input.xml client.toml; "
    "mlobs run input.xml client.toml",
)
@click.version_option(package_name="mlobs")
def group() -> None:
    """Machine-learned observables next to any i-PI simulation.

    i-PI is the server and moves the atoms; mlobs clients evaluate committees of potentials,
    dipoles and polarizabilities, and add an electric field.
    """


def main() -> None:
    """Run the command line; an error of ours becomes one line and exit status 1.

    So does a file that cannot be used, wherever it was named: a folder in its place; and a disk
    that is full, of which the system tells no name.
    """
    try:
        group()
    except MlobsError as error:
        _fail(str(error))
    except OSError as error:
        if error.errno in FULL:
            where = error.filename or "an output"
            _fail(f"{where}: {error.strerror}; free space there, and give the same line again")
        if error.filename is None:
            raise
        _fail(f"{error.filename}: {error.strerror}")


def _fail(text: str) -> NoReturn:
    """Say it in one line, whatever characters are in names of files."""
    line = "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)
    click.echo(f"mlobs: error: {line}", err=True)
    sys.exit(1)
