"""Check before a field scan that its runs will write what the analysis needs."""

from __future__ import annotations

import numpy as np

from mlobs_client.analysis.response.polarization import along_one_line
from mlobs_client.campaign.campaign import Campaign
from mlobs_client.campaign.rendered import Rendered
from mlobs_client.campaign.state import CampaignRun
from mlobs_client.client.service import ClientFile
from mlobs_client.errors import ConfigError, MlobsError
from mlobs_client.ipi.input import IpiInput
from mlobs_client.ipi.velocities import VELOCITY_OUTPUTS
from mlobs_client.studies.samples import read_field, read_temperature


def check_scan(campaign: Campaign) -> None:
    """Check the inputs and client files that all runs will have.

    Args:
        campaign: the field scan.

    Raises:
        ConfigError: an output that the analysis reads is missing, the field of a run is not known,
            or the campaign is not valid.
        RecordError: the fields are not along one line, or all are zero.
    """
    campaign.plan()
    fields = []
    for run in campaign.runs.values():
        ipi, clients = _read(campaign, run)
        try:
            _check_outputs(ipi)
            read_temperature(ipi)
            fields.append(read_field(ipi, clients))
        except MlobsError as error:
            raise ConfigError(f"run {run.name} could not be analysed: {error}") from error
    along_one_line(np.array(fields), list(campaign.runs))


def averages_nothing(campaign: Campaign) -> bool:
    """Return whether the first run writes no ``<properties>`` that could be averaged.

    Args:
        campaign: any campaign.

    Raises:
        ConfigError: the input or a client file of this run cannot be read.
    """
    ipi, _ = _read(campaign, next(iter(campaign.runs.values())))
    return not ipi.properties


def _read(campaign: Campaign, run: CampaignRun) -> tuple[IpiInput, list[ClientFile]]:
    """Return the input and the client files that a run will have."""
    rendered = Rendered.of(campaign.template, campaign.values(run))
    clients = [rendered.read_client(file) for file in campaign.table.client_files]
    return rendered.read_input(), clients


def _check_outputs(ipi: IpiInput) -> None:
    """Refuse an input without the outputs that the analysis reads."""
    if not any({"step", "time"} <= set(output.names) for output in ipi.properties):
        raise ConfigError(
            f"{ipi.path}: no <properties> has step and time; write for example <properties> "
            "[step, time{picosecond}, temperature{kelvin}] </properties>"
        )
    written = {output.what for output in ipi.trajectories}
    extras = {key for output in ipi.trajectories for key in output.extras}
    missing = {
        "<trajectory filename='pos'> positions </trajectory>": "positions" in written,
        "<trajectory filename='vel'> v_centroid </trajectory>": bool(
            written.intersection(VELOCITY_OUTPUTS)
        ),
        "<trajectory filename='dipole' extra_type='dipole'> extras </trajectory>": "dipole"
        in extras,
    }
    for tag, is_there in missing.items():
        if not is_there:
            raise ConfigError(f"{ipi.path}: add {tag} to <output>, which the analysis reads")
