import pytest

from mlobs_client.launch.ending import Ending, find_full_disk, last_error, read_ending

SOFT = " !W! Soft exit has been requested with message: ' {} '. Cleaning up.\n"


def soft(message: str) -> str:
    return SOFT.replace(" {} ", message) + " @softexit.trigger:  SOFTEXIT CALLED\n"


def test_all_steps_done_is_finished():
    log = soft(" @ SIMULATION: Exiting cleanly. I-PI reports success. Restartable as is: NO.")
    assert read_ending(log, 0)[0] is Ending.FINISHED


@pytest.mark.parametrize("reason", ["Kill signal received", "Maximum wallclock time elapsed."])
def test_a_soft_exit_from_outside_is_stopped_with_its_reason(reason):
    log = soft(f" @SOFTEXIT: {reason} Restartable as is: YES.")
    assert read_ending(log, 0) == (Ending.STOPPED, reason)


def test_an_exit_file_that_the_main_loop_sees_is_stopped_though_ipi_reports_success():
    log = " @simulation.run: EXIT file detected! Bye bye!\n" + soft(
        " @ SIMULATION: Exiting cleanly. I-PI reports success. Restartable as is: NO."
    )
    assert read_ending(log, 0) == (Ending.STOPPED, "EXIT file detected!")


def test_a_soft_exit_from_inside_is_failed_though_the_status_is_zero():
    log = soft(" @ PROPERTIES : the electric field is not defined. Restartable as is: YES.")
    ending, reason = read_ending(log, 0)
    assert ending is Ending.FAILED
    assert "electric field is not defined" in reason


def test_the_last_line_of_a_traceback_is_the_reason():
    log = "Traceback (most recent call last):\n  File x\nKeyError: 'step'\n @system: bye\n"
    assert read_ending(log, 1) == (Ending.FAILED, "KeyError: 'step'")


def test_a_warning_is_the_reason_where_there_is_no_traceback():
    log = " @system: up\n !W! the disk is full\n @system: working\n"
    assert read_ending(log, 3) == (Ending.FAILED, "!W! the disk is full")


def test_a_killed_server_without_words_tells_the_signal():
    assert read_ending(" @system: working\n", -9) == (Ending.FAILED, "killed by signal 9")
    assert read_ending(" @system: up\n", 3) == (Ending.FAILED, "exit status 3")


def test_a_killed_server_tells_the_signal_and_not_what_it_said_before():
    log = " !W! the disk is full\n @system: working\n"
    assert read_ending(log, -9) == (Ending.FAILED, "killed by signal 9")


def test_an_advice_of_ipi_is_no_reason_for_its_end():
    log = " !W! Install PyFFTW to avoid slow normal-modes integration\n"
    assert read_ending(log, 1) == (Ending.FAILED, "exit status 1")


def test_the_last_line_of_a_thread_that_died_is_its_error():
    log = "Exception in thread poll_a:\nTraceback\n  raise\nipi.interfaces.sockets.InvalidSize\n"
    assert last_error(log) == "ipi.interfaces.sockets.InvalidSize"


def test_a_folder_that_can_be_written_has_no_full_disk_and_one_that_is_gone_is_named(tmp_path):
    assert find_full_disk(tmp_path) == ""
    assert "gone cannot be written: No such file" in find_full_disk(tmp_path / "gone")
    assert list(tmp_path.iterdir()) == []
