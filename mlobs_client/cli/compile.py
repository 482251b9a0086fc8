"""``mlobs compile``: compile the networks of a client file ahead of a run."""

from __future__ import annotations

import logging
import os
from pathlib import Path

import click

from mlobs_client.cli import options
from mlobs_client.cli.logs import log_to_console
from mlobs_client.client import config as client_file
from mlobs_client.errors import ConfigError, ModelError


@click.command(epilog="Examples:  mlobs compile client.toml   |   mlobs compile client.toml -b 8")
@options.client_file
@click.option(
    "-b",
    "--beads",
    type=click.IntRange(1),
    default=1,
    show_default=True,
    help="Number of structures in one request: <batch_size> of the <ffsocket>.",
)
def command(client: Path, beads: int) -> None:
    """Compile the networks of CLIENT.toml for its structure, and keep the programs on disk.

    A client compiles its networks by itself, in the background, after its first minute. If they are
    compiled beforehand, all clients on this machine are fast from their first step. Programs depend
    on the processor: compile on a node of the kind that will run the clients. The programs are kept
    in ~/.cache/mlobs/compiled (or $XDG_CACHE_HOME/mlobs/compiled); this folder may be removed at
    any time.

    Exit status: 0 if clients have all programs that they can use; 1 with one line that names the
    problem.
    """
    console = log_to_console(logging.INFO)
    config = client_file.load_config(client)
    if not config.compile:
        raise ConfigError(f"{client}: has compile = false; remove it to compile the networks")
    # torch reads it when it is loaded, which is from here on
    os.environ["OMP_NUM_THREADS"] = str(config.threads)
    from mlobs_client.client.build import assemble
    from mlobs_client.client.precompile import compile_ahead
    from mlobs_client.evaluate.compile.networks import CompilationState

    assembly = assemble(config, client.parent, compile_after=0.0)
    structures = [assembly.structure] * beads
    wanted = frozenset(config.observables.extras) | frozenset(config.observables.record)
    with console.status("compiling (about a minute for each committee)"):
        wanted -= {"positions"}
        states = compile_ahead(structures, assembly.evaluators, assembly.terms, wanted)
    if CompilationState.FAILED in states:
        raise ModelError("not all networks could be compiled, see above; clients work nevertheless")
    if CompilationState.READY not in states:
        click.echo("nothing to compile: this client file has no networks that can be compiled")
        return
    click.echo("compiled: clients on this machine use the programs from their first step on")
