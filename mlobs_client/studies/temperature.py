"""Compare the temperature that a user gives with that of the run."""

from __future__ import annotations

import logging
from typing import Final

from mlobs_client.errors import ConfigError
from mlobs_client.ipi.systems import ensemble_temperature, is_same_temperature
from mlobs_client.results.statistics import mean
from mlobs_client.studies.runs import Run
from mlobs_client.units import KELVIN

logger = logging.getLogger(__name__)

NOTABLE: Final = 0.05
"""Relative deviation of a mean kinetic temperature above which it is logged."""

ANOTHER: Final = 0.5
"""Relative deviation that shows that the run was at another temperature, even without a
thermostat."""

SIGNIFICANT: Final = 5.0  # standard errors


def compare_temperature(run: Run, temperature: float, since: int = 0) -> None:
    """Compare a temperature with that of the ensemble and with the mean kinetic temperature.

    Args:
        run: the run, with RESTART and inputs in the folder of its outputs.
        temperature: temperature, K.
        since: first step of the mean.

    Raises:
        ConfigError: the ensemble had another temperature, or the mean kinetic temperature is far
            from the given one.
    """
    held = ensemble_temperature(run.systems)
    if held is not None and not is_same_temperature(held / KELVIN, temperature):
        raise ConfigError(
            f"{run.prefix}: was run at {held / KELVIN:.5g} K, as in {run.systems[0].path.name}, "
            f"not at {temperature:g} K; give --temperature {held / KELVIN:.5g}"
        )
    if run.has_properties and "temperature" in run.properties.values:
        _compare_kinetic(run, temperature, since, is_held=held is not None)
    elif held is None:
        logger.warning(
            "%s: no file gives the temperature of the run, so %g K is not checked; keep its input "
            "beside its outputs, or add temperature{kelvin} to <properties>",
            run.prefix,
            temperature,
        )


def _compare_kinetic(run: Run, temperature: float, since: int, *, is_held: bool) -> None:
    rows = run.properties["temperature"][run.properties["step"] >= since]
    if len(rows) < 4:
        return
    kinetic = mean(rows / KELVIN, "K")
    away = abs(kinetic.value - temperature)
    if kinetic.no_error or away < SIGNIFICANT * kinetic.error or away < NOTABLE * temperature:
        return
    if not is_held and away > ANOTHER * temperature:
        raise ConfigError(
            f"{run.prefix}: the atoms have a mean kinetic temperature of {kinetic}, not of "
            f"{temperature:g} K; give the --temperature of the run"
        )
    logger.warning(
        "%s: the mean kinetic temperature is %s, not %g K; if the start is not equilibrated, "
        "leave it out with --skip",
        run.prefix,
        kinetic,
        temperature,
    )
