"""The command ``mlobs``: one module per subcommand, each imported only when it is called.

Exit status: 0 on success, 1 for an error of mlobs (one line on stderr), 2 for wrong usage, 128 + n
after signal n.
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

# command -> its line in `mlobs --help`; the module has the same name, with _ for -
COMMANDS: Final[dict[str, str]] = {
    "demo": "Simulate quantum water in an electric field, in at most 8 minutes.",
    "init": "Write an input.xml and a client.toml to start from.",
    "check": "Find mistakes in an input.xml and client.toml before they cost an allocation.",
    "compile": "Compile the networks of a client file ahead of a run.",
    "bench": "Measure models on this machine, and recommend the fastest settings.",
    "run": "Run i-PI and its clients, here or on all nodes of a job.",
    "status": "Describe the runs in folders: steps, speed, temperature, and the next command.",
    "launch": "Write and submit a job of Slurm or PBS that continues until it is finished.",
    "campaign": "Run many simulations that differ in their parameters.",
    "field-scan": "Simulate water in static fields: polarization, structure and diffusion.",
    "client": "Run one socket client.",
    "observe": "Evaluate observables along an existing trajectory.",
    "vdos": "Compute the vibrational density of states from velocities, with error bars.",
    "ir": "Compute the infrared absorption n(w)alpha(w) from dipoles, with error bars.",
    "dielectric": "Compute the dielectric function from fluctuations, relaxation or pulses.",
    "reweight": "Reweight averages to other fields (MBAR).",
    "oxidation": "Compute an oxidation number from the dipole along a closed path.",
    "train": "Train committees for dipoles, polarizabilities, or energies with dipoles.",
    "calibrate": "Calibrate committee spreads on labelled structures.",
    "model": "Describe model files, and trust them.",
}

FULL: Final = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
"""Error numbers of a write that exceeds the space on the disk, a quota or a limit of the shell."""


class _LazyGroup(click.Group):
    """Imports a subcommand only when it is used: ``mlobs --help`` must not wait for torch."""

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

    i-PI is the server and moves the atoms. The clients of mlobs evaluate committees of potentials,
    dipoles and polarizabilities, and add an electric field.
    """


def main() -> None:
    """Run the command line; an error of mlobs becomes one line and exit status 1.

    The same holds for files that cannot be used, such as a folder in place of a file, and for a
    full disk, for which the system gives no file name.
    """
    try:
        group()
    except MlobsError as error:
        _fail(str(error))
    except OSError as error:
        if error.errno in FULL:
            where = error.filename or "an output"
            _fail(f"{where}: {error.strerror}; free space there, and run the same command again")
        if error.filename is None:
            raise
        _fail(f"{error.filename}: {error.strerror}")


def _fail(text: str) -> NoReturn:
    """Print an error on one line, whatever characters file names contain, and exit."""
    line = "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)
    click.echo(f"mlobs: error: {line}", err=True)
    sys.exit(1)
