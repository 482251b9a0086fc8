"""The files of a small run, and what runs leave there."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from small_run import Case, case

from mlobs_client.launch.run_log import RunLog

__all__ = ["case"]

ROWS = """# column   1     --> step : The current simulation time step.
# column   2     --> temperature{kelvin} : The current temperature.
# column   3     --> potential : The physical system potential energy.
"""


@pytest.fixture
def here(case: Case, monkeypatch: pytest.MonkeyPatch) -> Case:
    """The small run in the working directory."""
    monkeypatch.chdir(case.folder)
    return case


@pytest.fixture
def write_steps(case: Case) -> Callable[..., None]:
    """``write_steps(last, temperature)`` writes every second step into the properties."""

    def write(last: int, temperature: str = "310.0") -> None:
        rows = "".join(f"{step}.0e+00 {temperature} 0.0\n" for step in range(0, last + 1, 2))
        (case.folder / "simulation.out").write_text(ROWS + rows)

    return write


@pytest.fixture
def write_restart(case: Case) -> Callable[[int], None]:
    """``write_restart(step)`` writes the RESTART of a step."""

    def write(step: int) -> None:
        text = case.input.read_text().replace("<prng>", f"<step>{step}</step> <prng>")
        (case.folder / "RESTART").write_text(text)

    return write


@pytest.fixture
def write_log(case: Case) -> Callable[..., None]:
    """``write_log(end, *words)`` writes the log of a run that was started by these words."""

    def write(end: str, *words: str) -> None:
        with RunLog(case.folder, words) as log:
            log.say(end)

    return write
