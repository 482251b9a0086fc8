"""Execute a campaign with parsl, on this machine or in Slurm jobs.

parsl starts a run when the one that it continues from is done, limits how many run at the same
time, and retries a run that failed. Everything else is in :mod:`mlobs_client.campaign.run`.
"""

from __future__ import annotations

import concurrent.futures
import contextlib
import importlib
import logging
import runpy
import shlex
import socket
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from queue import SimpleQueue
from signal import Signals
from typing import Any, Final

from mlobs_client.campaign.campaign import Campaign
from mlobs_client.campaign.file import Local, Parsl, Slurm
from mlobs_client.campaign.rendered import Rendered
from mlobs_client.campaign.run import NAME, PATIENCE, run_to_completion
from mlobs_client.campaign.state import CampaignRun
from mlobs_client.errors import ConfigError, LaunchError
from mlobs_client.launch.parent_death_signal import with_parent_death_signal
from mlobs_client.launch.places import share, visible_gpus
from mlobs_client.launch.schedulers import SLURM
from mlobs_client.launch.site import Site, read_site
from mlobs_client.launch.time_limits import in_full
from mlobs_client.locks import hold, is_held

POLL_INTERVAL: Final = 0.5  # seconds between two looks at the runs

Outcomes = Mapping[str, str | None]
"""By the name of a run that has ended: None if it is done, else the reason why it is not done."""


def execute(
    campaign: Campaign,
    digests: Mapping[str, str],
    received: Sequence[Signals],
    report: Callable[[Outcomes], None],
    site: Path | None = None,
) -> Outcomes:
    """Execute all runs that are not done, until all have ended or a signal is received.

    Args:
        campaign: the campaign.
        digests: hash of the files of each run, by the name of the run.
        received: signals so far; at the first one, all runs stop with a RESTART.
        report: called every half second.
        site: site file for jobs of Slurm; with None, that of the user, if there is one.

    Raises:
        ConfigError: parsl cannot be configured as the file says.
        LaunchError: parsl is not installed, or another campaign is being executed in this folder.
    """
    with _alone(campaign):
        campaign.stop.unlink(missing_ok=True)
        with _kernel(campaign, site) as kernel:
            futures = _submit(campaign, digests, kernel)
            outcomes: dict[str, str | None] = {}
            try:
                while len(outcomes) < len(futures) and not received:
                    left = [future for name, future in futures.items() if name not in outcomes]
                    concurrent.futures.wait(left, POLL_INTERVAL, concurrent.futures.FIRST_COMPLETED)
                    outcomes.update(_read_outcomes(campaign, futures, outcomes))
                    report(outcomes)
            finally:
                if len(outcomes) < len(futures):
                    _stop(campaign)
    return outcomes


@contextlib.contextmanager
def _alone(campaign: Campaign) -> Iterator[None]:
    try:
        for folder in (campaign.hidden, campaign.path.parent / "runs"):
            folder.mkdir(exist_ok=True)
    except OSError as error:
        raise LaunchError(f"{folder} cannot be made: {error.strerror}") from error
    with hold(campaign.hidden / "lock") as lock:
        if lock is None:
            raise LaunchError(
                f"another 'mlobs campaign run' is running in {campaign.path.parent.resolve()}; "
                "wait until it ends, or end it with Ctrl-C"
            )
        yield


def _submit(campaign: Campaign, digests: Mapping[str, str], kernel: Any) -> dict[str, Any]:
    """Submit all runs that are not done to parsl."""
    from parsl import python_app

    execution, function = campaign.table.execution, run_to_completion
    if isinstance(execution, Local):
        function = _with_gpus(execution.at_once)
    app = python_app(function, data_flow_kernel=kernel, cache=False)
    futures: dict[str, Any] = {}
    for name, run in campaign.runs.items():
        if not run.is_done:
            before = futures.get(run.after) if run.after else None
            futures[name] = app(str(campaign.path.absolute()), name, digests[name], before)
    return futures


def _with_gpus(n_runs: int) -> Callable[..., bool]:
    """Return a function that executes a run with its share of the GPUs of this machine."""
    shares: SimpleQueue[str] = SimpleQueue()
    for gpus in share(visible_gpus(), n_runs):
        shares.put(gpus)

    def run(campaign_file: str, name: str, digest: str, before: object) -> bool:
        gpus = shares.get()
        try:
            return run_to_completion(campaign_file, name, digest, before, gpus)
        finally:
            shares.put(gpus)

    return run


def _read_outcomes(
    campaign: Campaign, futures: Mapping[str, Any], known: Outcomes
) -> dict[str, str | None]:
    found: dict[str, str | None] = {}
    for name, future in futures.items():
        if name in known or not future.done():
            continue
        error = future.exception()
        after = campaign.runs[name].after
        if error is not None and type(error).__name__ == "DependencyError":
            found[name] = f"not started, because {after} has failed"
        else:
            found[name] = _describe(error, future)
    return found


def _describe(error: BaseException | None, future: Any) -> str | None:
    if error is not None:
        return " ".join(str(error).split())
    return None if future.result() else "stopped"


def _stop(campaign: Campaign) -> None:
    """Tell all runs to end, on whatever machine they are, and wait for them."""
    campaign.stop.touch()
    deadline = time.monotonic() + PATIENCE
    logs = [run.folder / f"{NAME}.log" for run in campaign.runs.values() if not run.is_done]
    while any(map(is_held, logs)) and time.monotonic() < deadline:
        time.sleep(POLL_INTERVAL)


@contextlib.contextmanager
def _kernel(campaign: Campaign, site: Path | None) -> Iterator[Any]:
    """Start parsl, with its log in a file."""
    try:
        from parsl import DataFlowKernel
    except ImportError as error:
        raise LaunchError(
            f"campaigns are executed by parsl, which cannot be imported ({error}); install it "
            "with: pip install 'mlobs[campaign]'"
        ) from error
    config = _configure(campaign, site)
    config.run_dir = str(campaign.hidden / "parsl")
    config.retries = campaign.table.execution.retries
    config.retry_handler = _judge_retries(campaign)
    config.initialize_logging = False  # it would write megabytes, and to the terminal
    config.usage_tracking = 0
    logger = logging.getLogger("parsl")
    handler = logging.FileHandler(campaign.hidden / "parsl.log")
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s %(message)s"))
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    logger.propagate = False
    try:
        with DataFlowKernel(config) as kernel:
            yield kernel
    finally:
        logger.propagate = True
        logger.removeHandler(handler)
        handler.close()


def _judge_retries(campaign: Campaign) -> Callable[[Exception, Any], float]:
    """Count a failure of a run only if the run made no progress before failing.

    So a job that reaches its time limit costs no retry, but a run that fails again at the same step
    does.
    """
    farthest = {name: _read_step(run) for name, run in campaign.runs.items() if not run.is_done}

    def cost(error: Exception, record: Any) -> float:
        name = record["args"][1]
        step = _read_step(campaign.runs[name])
        has_advanced = step > farthest[name]
        farthest[name] = max(step, farthest[name])
        return 0.0 if has_advanced else 1.0

    return cost


def _read_step(run: CampaignRun) -> int:
    status = run.read_progress()
    return -1 if status is None or status.step is None else status.step


def _configure(campaign: Campaign, site: Path | None = None) -> Any:
    from parsl import Config, ThreadPoolExecutor

    execution = campaign.table.execution
    if site is not None and not isinstance(execution, Slurm):
        raise ConfigError(
            f"--site {site} is for jobs of Slurm, but {campaign.path} has [execution] kind = "
            f'"{execution.kind}"; leave --site out, or write kind = "slurm"'
        )
    if isinstance(execution, Parsl):
        return _load_config(campaign.path, execution.config)
    if isinstance(execution, Slurm):
        return Config(
            executors=[_slurm_executor(execution, _count_cores(campaign), _read_site(site))],
            strategy="htex_auto_scale",
        )
    threads = ThreadPoolExecutor(label="runs", max_threads=execution.at_once)
    return Config(executors=[threads], strategy="none")


def _read_site(path: Path | None) -> Site:
    site = read_site(path)
    if site.commands is not SLURM:
        raise ConfigError(
            f'the site file has scheduler = {site.scheduler!r}, but [execution] kind = "slurm"; '
            'write kind = "parsl" and a config for your scheduler'
        )
    return site


def _count_cores(campaign: Campaign) -> int:
    """Return the number of threads of all programs of that run that has most."""
    table = campaign.table
    threads = []
    for run in campaign.runs.values():
        rendered = Rendered.of(campaign.template, campaign.values(run))
        clients = [rendered.read_client(file) for file in table.client_files]
        threads.append(sum(client.config.threads for client in clients))
    return table.clients * max(threads) + len(table.drivers) + 1  # one is i-PI


def _slurm_executor(execution: Slurm, n_cores: int, site: Site) -> Any:
    from parsl import HighThroughputExecutor
    from parsl.providers import SlurmProvider

    programs = Path(sys.executable).parent  # those of parsl, too
    cores = execution.cores or n_cores
    options = SLURM.requests(SLURM.of_site, site.values, (*site.options, *execution.options))
    init = [f"export PATH={shlex.quote(str(programs))}:$PATH", site.setup, execution.worker_init]
    return HighThroughputExecutor(
        label="runs",
        address=_resolve(execution.address),
        cores_per_worker=cores,
        max_workers_per_node=1,
        encrypted=True,
        # Ctrl-C is for us: parsl would wait forever for an interchange that it has ended; one that
        # outlives us would keep its jobs
        interchange_launch_cmd=with_parent_death_signal([str(programs / "interchange.py")]),
        provider=SlurmProvider(
            walltime=execution.walltime or in_full(site.walltime),
            cores_per_node=cores,
            init_blocks=0,
            max_blocks=execution.at_once,
            exclusive=False,
            scheduler_options="\n".join(options),
            worker_init="\n".join(init),
        ),
    )


def _resolve(address: str) -> str:
    try:
        return socket.gethostbyname(address)
    except OSError as error:
        raise ConfigError(
            f"[execution] address = {address!r}: {error.strerror}; give the IP address of this "
            "machine in the network of the nodes, see: ip address"
        ) from error


def _load_config(path: Path, name: str) -> Any:
    """Call the user's function."""
    from parsl import Config

    place, function = name.rsplit(":", 1)
    try:
        if place.endswith(".py"):
            make = runpy.run_path(str(path.parent / place))[function]
        else:
            make = getattr(importlib.import_module(place), function)
    except (ImportError, OSError, KeyError, AttributeError) as error:
        raise ConfigError(
            f"{path}: config = {name!r} cannot be found ({error}); write 'module:function' or "
            "'file.py:function'"
        ) from error
    config = make()
    if not isinstance(config, Config):
        raise ConfigError(f"{path}: {name} returns {config!r}, which is not a parsl.Config")
    return config
