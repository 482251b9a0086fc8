"""``stride`` of client files against the steps and outputs of i-PI."""

import pytest


@pytest.fixture
def strided(case):
    case.replace(case.input, "</address>", "</address> <batch_size> 4 </batch_size>")
    case.replace(case.client, '["dipole"]', '["dipole"]\nstride = 2')
    return case


def test_strides_that_agree_have_no_errors_and_no_warnings(strided, texts):
    findings = strided.judge_strides()
    assert texts(findings, "error") == texts(findings, "warning") == []
    assert "stride in client.toml follows the steps" in texts(findings, "ok")[0]


def test_a_client_file_without_stride_is_not_judged(case):
    assert case.judge_strides(n_clients=2) == []


def test_several_clients_make_stride_useless_which_is_a_warning(strided, texts):
    (said,) = texts(strided.judge_strides(n_clients=2), "warning")
    assert "evaluated at every step: 2 clients share" in said
    assert "mlobs observe" in said


def test_where_stride_has_no_effect_no_output_lacks_anything(strided, texts):
    strided.replace(strided.client, "stride = 2", "stride = 3")
    assert texts(strided.judge_strides(n_clients=1), "error") != []
    assert texts(strided.judge_strides(n_clients=2), "error") == []


def test_a_batch_without_all_beads_is_a_warning_that_names_the_right_size(strided, texts):
    strided.replace(strided.input, "<batch_size> 4", "<batch_size> 2")
    assert "<batch_size> 4 </batch_size>" in texts(strided.judge_all(), "warning")[0]


def test_an_output_between_the_evaluations_is_an_error_that_names_both_numbers(strided, texts):
    strided.replace(strided.client, "stride = 2", "stride = 3")
    (said,) = texts(strided.judge_all(), "error")
    assert "<trajectory filename='dipole' stride='2'>" in said
    assert "a multiple of 3" in said
    strided.replace(strided.client, "stride = 3", "stride = 1")
    assert texts(strided.judge_all(), "error") == []


def test_rows_of_the_record_follow_the_stride_of_what_is_recorded(strided, texts):
    strided.replace(strided.input, "extra_type='dipole'", "extra_type='record_row'")
    strided.replace(strided.client, '["dipole"]', '[]\nrecord = ["dipole"]')
    assert texts(strided.judge_strides(), "error") == []
    strided.replace(strided.client, "stride = 2", "stride = 4")
    assert "'record_row'" in texts(strided.judge_strides(), "error")[0]


def test_an_extra_that_no_output_names_may_have_any_stride(strided, texts):
    strided.replace(strided.client, "stride = 2", "stride = {energy_spread = 7}")
    strided.replace(strided.client, '["dipole"]', '["dipole", "energy_spread"]')
    assert texts(strided.judge_strides(), "error") == []


def test_an_interpolated_extra_must_be_there_at_every_output_of_extras(strided, texts):
    strided.replace(strided.client, "stride = 2", "stride = {polarizability = 5}")
    strided.replace(strided.client, '["dipole"]', '["dipole", "polarizability"]')
    interpolated = "<interpolate_extras> [ polarizability ] </interpolate_extras>"
    strided.replace(
        strided.input, "forcefield='mlobs'/>", f"forcefield='mlobs'>{interpolated}</force>"
    )
    assert "'polarizability'" in texts(strided.judge_strides(), "error")[0]


def test_all_extras_in_one_file_between_evaluations_are_a_warning(strided, texts):
    strided.replace(strided.client, "stride = 2", "stride = 4")
    strided.replace(strided.input, " extra_type='dipole'", "")
    (said,) = texts(strided.judge_strides(), "warning")
    assert "writes all extras" in said
