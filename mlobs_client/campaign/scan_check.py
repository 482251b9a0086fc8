"""What the analysis needs from the runs of a campaign, known before the first of them."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import numpy as np

from mlobs_client.analysis.polarization import along_one_line
from mlobs_client.campaign.campaign import Campaign
from mlobs_client.campaign.samples import read_field, read_temperature
from mlobs_client.campaign.state import Run
from mlobs_client.check import ipi_input
from mlobs_client.errors import ConfigError, MlobsError
from mlobs_client.outputs.velocities import QUANTITIES

INPUT: Final = "input.xml"


def check_scan(campaign: Campaign) -> None:
    """Read the inputs and client files that all runs will have, and find what they lack.

    Raises:
        ConfigError: a file cannot be read, an output that the analysis reads is not written, a
            run is in no field of known strength, or as :meth:`Campaign.plan`.
        RecordError: fields are not along one line, or all are zero.
    """
    campaign.plan()
    fields = []
    for run in campaign.runs.values():
        with _rendered(campaign, run) as folder:
            ipi = ipi_input.read(folder / INPUT)
            _check_outputs(ipi)
            read_temperature(ipi)
            files = [folder / file for file in campaign.table.client_files]
            fields.append(read_field(ipi, files))
    along_one_line(np.array(fields), list(campaign.runs))


def averages_nothing(campaign: Campaign) -> bool:
    """Whether the first run writes no ``<properties>``, which 'mlobs campaign collect' averages.

    Raises:
        ConfigError: its input cannot be read.
    """
    with _rendered(campaign, next(iter(campaign.runs.values()))) as folder:
        return not ipi_input.read(folder / INPUT).properties


@contextmanager
def _rendered(campaign: Campaign, run: Run) -> Iterator[Path]:
    """The input and the client files of a run, in a folder that is gone afterwards.

    Raises:
        ConfigError: what is done with them raised an error; with the paths of the template.
    """
    template = campaign.template
    contents = {**template.copied, **template.render(campaign.values(run))}
    with tempfile.TemporaryDirectory() as name:
        for file in (INPUT, *campaign.table.client_files):
            path = Path(name) / file
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(contents[file])
        try:
            yield Path(name)
        except MlobsError as error:
            said = str(error).replace(name, str(template.folder))
            raise ConfigError(f"run {run.name} could not be analysed: {said}") from error


def _check_outputs(ipi: ipi_input.IpiInput) -> None:
    """Raises: ConfigError."""
    if not any({"step", "time"} <= set(output.names) for output in ipi.properties):
        raise ConfigError(
            f"{ipi.path}: no <properties> has step and time; write for example <properties> "
            "[step, time{picosecond}, temperature{kelvin}] </properties>"
        )
    written = {output.what for output in ipi.trajectories}
    extras = {key for output in ipi.trajectories for key in output.extras}
    missing = {
        "<trajectory filename='pos'> positions </trajectory>": "positions" in written,
        "<trajectory filename='vel'> v_centroid </trajectory>": bool(written & set(QUANTITIES)),
        "<trajectory filename='dipole' extra_type='dipole'> extras </trajectory>": "dipole"
        in extras,
    }
    for tag, is_there in missing.items():
        if not is_there:
            raise ConfigError(f"{ipi.path}: add {tag} to <output>, which the analysis reads")
