"""``mlobs client``: run one socket client."""

from __future__ import annotations

import logging
import os
import sys
from pathlib import Path

import click

from mlobs_client.cli import options
from mlobs_client.client import config as client_file
from mlobs_client.client.config import Socket
from mlobs_client.ipi.input import PREFIX
from mlobs_client.launch.sections import DATE
from mlobs_client.wire.transport import Address, RelayedAddress, TcpAddress, UnixAddress


@click.command(
    epilog="Examples:  mlobs client client.toml   |   "
    "for i in 1 2 3; do mlobs client client.toml --name client-$i & done"
)
@options.client_file
@click.option(
    "--name",
    default="",
    help="Write the client's record to observables-NAME.h5.  [default: a free name]",
)
@click.option(
    "--step",
    type=click.IntRange(0),
    help="Step at which i-PI starts, 0 or <step> of a RESTART; the stride of [observables] is "
    "counted from it. With --step, the client must be the only one, and <batch_size> must be the "
    "number of beads.",
)
@click.option(
    "-S",
    "--sockets-prefix",
    default=PREFIX,
    show_default=True,
    help="Path that precedes the address of a unix socket, as in option -S of i-PI.",
)
@click.option(
    "--join",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Join a 'mlobs run --listen' on another machine (FILE is its mlobs-run.json), and serve "
    "the <ffsocket> with the [socket] address of CLIENT.toml.",
)
@click.option(
    "--run", "run_name", default="", metavar="NAME",
    help="Join only a run whose name in FILE is NAME.  [default: any run]",
)  # fmt: skip
@click.option("-v", "--verbose", is_flag=True, help="Log which models are loaded.")
def command(
    client: Path,
    name: str,
    step: int | None,
    sockets_prefix: str,
    join: Path | None,
    run_name: str,
    verbose: bool,
) -> None:
    """Serve one i-PI server with the models of CLIENT.toml until it sends EXIT.

    A client file with kind = "ase" imports the module that it names, and so runs code: read it
    before you use it.

    The server may start later: the client waits for it as long as [socket] patience says. Exit
    status: 0 after EXIT; 1 with one line that names the problem, including when the server
    disappears; 128 + n after signal n (after SIGTERM or SIGINT, the current result is delivered
    first).
    """
    logging.basicConfig(
        level=logging.INFO if verbose else logging.WARNING,
        format="%(asctime)s mlobs client: %(levelname)s: %(message)s",
        datefmt=DATE,
        force=True,
    )
    config = client_file.load_config(client)
    # torch reads it when it is loaded, which is from here on
    os.environ["OMP_NUM_THREADS"] = str(config.threads)
    from mlobs_client.client.session import ClientSession
    from mlobs_client.wire.client import run_client

    address = _find_address(config.socket, sockets_prefix, join, run_name)
    with ClientSession.from_file(client, name, step) as session:
        signum = run_client(
            address,
            config.socket.patience,
            lambda event: session(event.cells, event.positions, event.batch_size),
        )
    if signum is not None:
        sys.exit(128 + signum)


def _find_address(socket: Socket, prefix: str, join: Path | None, run_name: str) -> Address:
    if join is not None:
        return RelayedAddress(socket.address, join, run_name)
    if socket.mode == "unix":
        return UnixAddress(socket.address, prefix)
    return TcpAddress(socket.address, socket.port)
