"""Settings have the weights of their kind, unless the user gives others."""

from __future__ import annotations


def test_weights_are_those_of_the_kind_and_of_the_user(settings) -> None:
    assert settings("dipole").all_weights == {}
    assert settings("potential").all_weights == {"energy": 10.0, "virials": 1.0}
    own = settings("potential", weights={"energy": 3.0})
    assert own.all_weights == {"energy": 3.0, "virials": 1.0}
