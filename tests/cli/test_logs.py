"""The log of a command is for people: one line on stderr, from the level that was asked for."""

from __future__ import annotations

import logging

import pytest

from mlobs_client.cli.logs import log_to_console


def test_lines_of_the_level_go_to_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    try:
        log_to_console(logging.INFO)
        logging.getLogger("mlobs_client").info("compiled for 4 atoms")
        logging.getLogger("mlobs_client").debug("a detail")
    finally:
        root.handlers, root.level = handlers, level
    shown = capsys.readouterr()
    assert "compiled for 4 atoms" in shown.err
    assert "a detail" not in shown.err
    assert shown.out == ""
