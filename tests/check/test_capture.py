"""What models write does not reach the terminal, and is counted."""

from __future__ import annotations

import ctypes
import logging
import os
import subprocess
import sys

import pytest

from mlobs_client.check.capture import Caught, caught
from mlobs_client.check.finding import Level


def write_everywhere() -> None:
    print("Python's stdout")
    print("Python's stderr", file=sys.stderr)
    os.write(1, b"a descriptor\n")
    ctypes.CDLL(None).puts(b"the stdout of C, which is buffered")
    subprocess.run([sys.executable, "-c", "print('a program')"], check=True)


def test_all_that_is_written_is_caught_and_counted(capfd: pytest.CaptureFixture[str]) -> None:
    said = Caught()
    with caught(said):
        write_everywhere()
    with caught(said):
        print("more")
    print("afterwards")
    assert capfd.readouterr() == ("afterwards\n", "")
    assert said.n_lines == 6
    (finding,) = said.findings("client.toml")
    assert finding.what.startswith("client.toml: 6 lines")


def test_an_error_puts_the_terminal_back(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ValueError, match="hidden"), caught(Caught()):
        print(int("hidden"))
    print("afterwards")
    assert capfd.readouterr().out == "afterwards\n"


def test_our_own_warnings_become_findings_once() -> None:
    said = Caught()
    with caught(said):
        for _ in range(3):
            logging.getLogger("mlobs_client.client.build").warning(
                "numbers add up to %+d; correct", 1
            )
    (finding,) = said.findings("client.toml")
    assert finding.level is Level.WARNING
    assert (finding.what, finding.remedy) == ("client.toml: numbers add up to +1", "correct")
