"""Extras that an input asks for, against those that its clients send and i-PI keeps."""

import pytest


def test_extras_that_no_client_sends_are_an_error_that_says_how_to_get_them(case, texts):
    case.replace(case.input, "extra_type='dipole'", "extra_type='BEC'")
    (error,) = texts(case.judge_agreement(), "error")
    assert 'add "born_charges"' in error


def test_our_name_where_the_name_on_the_wire_belongs_is_explained(case, texts):
    case.replace(case.input, "extra_type='dipole'", "extra_type='born_charges'")
    (error,) = texts(case.judge_agreement(), "error")
    assert "'BEC'" in error


def test_the_row_of_the_record_is_among_the_extras(case, texts):
    case.replace(case.input, "extra_type='dipole'", "extra_type='record_row'")
    assert "record_row" in texts(case.judge_agreement(), "error")[0]
    case.replace(case.client, '["dipole"]', '[]\nrecord = ["dipole"]')
    assert texts(case.judge_agreement(), "error") == []


@pytest.mark.parametrize("attribute", ["weight='0'", "nbeads='2'"])
def test_extras_that_ipi_drops_are_an_error(case, texts, attribute):
    case.replace(case.input, "forcefield='mlobs'/>", f"forcefield='mlobs' {attribute}/>")
    assert "i-PI drops" in texts(case.judge_agreement(), "error")[0]


def test_interpolated_extras_survive_a_contraction(case, texts):
    case.replace(
        case.input,
        "forcefield='mlobs'/>",
        "forcefield='mlobs' nbeads='2'>"
        "<interpolate_extras> [ dipole ] </interpolate_extras></force>",
    )
    assert texts(case.judge_agreement(), "error") == []


def test_two_clients_with_the_same_extras_are_an_error(case, texts):
    other = case.add_second()
    assert "keeps only those of the last" in texts(case.judge_agreement(other), "error")[0]
    other.write_text(other.read_text().replace('["dipole"]', "[]"))
    assert texts(case.judge_agreement(other), "error") == []


def test_extras_of_one_component_are_those_of_its_client(case, texts):
    other = case.add_second("[]")
    case.replace(case.input, "> extras <", "> extras_component_raw(0) <")
    assert "no client sends it" in texts(case.judge_agreement(other), "error")[0]
    case.replace(case.input, "> extras_component_raw(0) <", "> extras_component_raw(1) <")
    assert texts(case.judge_agreement(other), "error") == []


def test_two_that_send_the_same_extras_may_be_written_one_by_one(case, texts):
    other = case.add_second()
    assert "write extras_component_raw(0)" in texts(case.judge_agreement(other), "error")[0]
    case.replace(case.input, "> extras <", "> extras_component_raw(0) <")
    assert texts(case.judge_agreement(other), "error") == []


def test_extras_of_plumed_are_those_that_it_is_asked_for(case, texts):
    plumed = "<ffplumed name='bias'> <plumed_extras> [ doo ] </plumed_extras> </ffplumed>"
    case.replace(case.input, "  <system>", f"{plumed}\n  <system>")
    case.replace(case.input, "<ensemble>", "<ensemble> <bias> <force forcefield='bias'/> </bias>")
    case.replace(case.input, "'dipole'> extras <", "'doo'> extras_bias <")
    assert texts(case.judge_agreement(), "error") == []
    case.replace(case.input, "[ doo ]", "[ co1 ]")
    assert "write one of" in texts(case.judge_agreement(), "error")[0]
