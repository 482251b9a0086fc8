import pytest

from mlobs_client.check import ipi_parser
from mlobs_client.check.files import check_all, check_files, check_physics
from mlobs_client.check.finding import errors


def test_right_files_have_findings_and_none_is_an_error(case):
    findings = case.judge_all()
    assert len(findings) > 4
    assert errors(findings) == []


def test_missing_files_are_errors_that_name_them(case):
    found = errors(check_files(case.folder / "no.xml", [case.folder / "no.toml"]))
    assert len(found) == 2
    assert all("mlobs init" in finding.remedy for finding in found)


def test_a_missing_structure_is_an_error_that_names_it(case):
    case.replace(case.client, "init.xyz", "gone.xyz")
    (found,) = errors(case.judge_all())
    assert "gone.xyz" in found.what


def test_a_field_in_an_unknown_unit_is_an_error_that_lists_the_known_ones(case):
    case.add_field()
    case.replace(case.client, "V/angstrom", "kV/m")
    found = errors(case.judge_all())
    assert "'kV/m'" in found[0].what
    assert "V/angstrom" in found[0].remedy


def test_the_agreement_is_checked_also_when_ipi_refuses_the_input(case):
    case.replace(case.input, "init.xyz", "gone.xyz")
    case.replace(case.client, '"tiny"', '"tyni"')
    assert {"gone.xyz", "tyni"} == {
        word for word in ("gone.xyz", "tyni") for f in errors(case.judge_all()) if word in f.what
    }


def test_models_that_cannot_be_built_are_an_error(case):
    case.replace(case.client, "qtip4pf", "tip9p")
    (found,) = errors(check_physics([case.client]))
    assert "tip9p" in found.what


@pytest.mark.usefixtures("ipi_in_this_process")
def test_what_files_and_models_both_lack_is_said_once_and_models_are_not_loaded(case, texts):
    case.replace(case.client, '["dipole"]', '["energy_spread"]')
    case.replace(case.input, "'dipole'> extras", "'energy_spread'> extras")
    said: list[tuple[str, int, int]] = []
    findings = list(check_all(case.input, [case.client], say=lambda *one: said.append(one)))
    assert len(texts(findings, "error")) == 1
    assert said == []
    case.client.unlink()
    assert len(texts(list(check_all(case.input, [case.client])), "error")) == 1


@pytest.mark.usefixtures("ipi_in_this_process")
def test_i_pi_reads_the_input_once_for_files_and_models(case, monkeypatch):
    read, ask = [], ipi_parser._ask
    monkeypatch.setattr(ipi_parser, "_ask", lambda *given: read.append(given) or ask(*given))
    found = list(check_all(case.input, [case.client]))
    assert read == [(case.input, case.folder)]
    assert any("on the first structure of i-PI, the largest force" in one.what for one in found)


@pytest.mark.usefixtures("ipi_in_this_process")
def test_progress_is_said_before_what_takes_long(case):
    said: list[tuple[str, int, int]] = []
    assert errors(check_all(case.input, [case.client], say=lambda *one: said.append(one))) == []
    assert said[:2] == [(loading := "loading the models of client.toml", 0, 1), (loading, 0, 0)]
    (begun, *_), *parts, end = [one for one in said if "energy and" in one[0]]
    assert end == (begun, 0, 0)
    assert parts == [
        (f"{begun} ({by})", k, n)
        for by, n in (("positions", 6), ("strain", 9))
        for k in range(1, n + 1)
    ]


@pytest.mark.usefixtures("ipi_in_this_process")
def test_a_record_without_a_folder_is_an_error_that_creating_it_removes(case, texts):
    case.replace(
        case.client, '["dipole"]', '["dipole"]\nrecord = ["dipole"]\nrecord_file = "a/b.h5"'
    )
    (error,) = texts(case.judge_all(), "error")
    assert "record_file = 'a/b.h5'" in error
    (case.folder / "a").mkdir()
    assert texts(case.judge_all(), "error") == []


def test_a_client_that_gives_no_forces_is_an_error(case):
    case.replace(case.client, "[potential]", "[dipole]")
    found, _ = errors(check_files(case.folder / "no.xml", [case.client]))
    assert "so i-PI would get no forces" in found.what


def test_a_toy_without_name_is_one_error_that_lists_them_and_nothing_follows_from_it(case, texts):
    case.replace(case.client, 'name = "qtip4pf"\n', "")
    findings = case.judge_all()
    (error,) = texts(findings, "error")
    assert "the name of the toy is missing; " in error.replace(" -> ", "; ")
    assert "qtip4pf" in error
    assert "[potential]" in error
    assert texts(findings, "warning") == []
    case.replace(case.client, '"toy"\n', '"toy"\nname = "qtip4pf"\n')
    assert errors(case.judge_all()) == []
