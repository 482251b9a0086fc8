import pytest

from mlobs_client.launch.heartbeat import SHORTEST, TIMES, Heartbeat


def test_nobody_is_blamed_before_it_is_known_how_long_a_step_takes(sleep) -> None:
    heartbeat = Heartbeat()
    sleep(1e6)
    heartbeat.beat(None)
    heartbeat.beat(0)
    sleep(1e6)
    assert heartbeat.silence is None


def test_slow_steps_are_given_more_time(sleep) -> None:
    heartbeat = Heartbeat()
    for step in range(4):
        heartbeat.beat(step)
        sleep(100.0)
    sleep(TIMES * 100.0 - 101.0)
    assert heartbeat.silence is None
    sleep(2.0)
    assert heartbeat.silence == pytest.approx(TIMES * 100.0 + 1.0)


def test_quick_steps_are_given_some_minutes(sleep) -> None:
    heartbeat = Heartbeat()
    for step in range(4):
        heartbeat.beat(step)
        sleep(0.01)
    sleep(SHORTEST - 1.0)
    assert heartbeat.silence is None
    sleep(2.0)
    assert heartbeat.silence is not None


def test_a_patience_that_was_given_holds_from_the_first_step_on(sleep) -> None:
    heartbeat = Heartbeat(5.0)
    sleep(4.0)
    assert heartbeat.silence is None
    sleep(2.0)
    assert heartbeat.silence == 6.0
    heartbeat.reset_timer()
    assert heartbeat.silence is None


def test_the_same_step_seen_again_is_no_sign_of_life(sleep) -> None:
    heartbeat = Heartbeat(5.0)
    heartbeat.beat(7)
    sleep(4.0)
    heartbeat.beat(7)
    sleep(2.0)
    assert heartbeat.silence == 6.0
    assert heartbeat.n_steps == 1
