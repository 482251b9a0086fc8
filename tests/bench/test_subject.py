"""What is known before anything is measured, and what is refused."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from mlobs_client.bench.subject import Subject, survey
from mlobs_client.errors import ConfigError, EvaluationError, ModelError


def test_single_precision_is_compared_with_double_precision(subject: Subject) -> None:
    found = survey(subject, 1)
    assert found.n_atoms == 3
    assert 1e-8 < found.rounding.difference / found.rounding.largest_force < 1e-4


def test_the_estimate_is_what_a_client_evaluates_together(subject: Subject) -> None:
    # 30000 edges at once: all of eight molecules
    assert survey(subject, 8).estimate == 8


def test_the_batch_is_that_of_the_case(subject: Subject) -> None:
    (evaluator,) = (assembly := subject.assemble("float32", batch=3)).evaluators
    assert evaluator.preferred_batch_size([assembly.structure] * 8) == 3  # type: ignore[attr-defined]


def test_other_species_are_refused(subject: Subject) -> None:
    path = Path(subject.structure)
    path.write_text(path.read_text().replace("O", "S"))
    with pytest.raises(EvaluationError, match="know H, O, not S"):
        survey(subject, 1)


def test_positions_that_are_no_numbers_are_refused(subject: Subject) -> None:
    path = Path(subject.structure)
    path.write_text(path.read_text().replace("0.757", "nan", 1))
    with pytest.raises(EvaluationError, match="not a finite number"):
        survey(subject, 1)


def test_missing_files_are_named(subject: Subject) -> None:
    with pytest.raises(ModelError, match=r"'absent\.model' matches no file"):
        survey(replace(subject, models=("absent.model",)), 1)
    with pytest.raises(ConfigError, match=r"absent\.xyz does not exist"):
        survey(replace(subject, structure="absent.xyz"), 1)
