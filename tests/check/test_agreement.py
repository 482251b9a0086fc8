import pytest

FIELD = "[field]\nvector = [0.0, 0.01, 0.05]\nunit = 'V/angstrom'\n"
SOCKET = "<ffsocket name='b' mode='unix' pbc='False'> <address> own </address> </ffsocket>"


def test_files_that_agree_have_no_errors_and_no_warnings(case, texts):
    findings = case.judge_agreement()
    assert texts(findings, "error") == texts(findings, "warning") == []


@pytest.mark.parametrize(
    ("old", "new", "seen"),
    [
        ('"tiny"', '"tyni"', "'tyni'"),
        ('address = "tiny"', 'mode = "inet"\naddress = "node7"\nport = 4000', "node7 port 4000"),
    ],
)
def test_a_client_at_another_address_is_an_error_that_names_both(case, texts, old, new, seen):
    case.replace(case.client, old, new)
    error = texts(case.judge_agreement(), "error")[0]
    assert seen in error
    assert "'tiny'" in error


def test_a_whole_path_is_the_same_address(case, texts):
    case.replace(case.client, '"tiny"', '"/scratch/me/tiny"')
    case.replace(case.input, "<simulation ", "<simulation sockets_prefix='/scratch/me/' ")
    assert texts(case.judge_agreement(), "error") == []


def test_ports_are_compared_and_hosts_are_not(case, texts):
    case.replace(case.input, "mode='unix' pbc", "mode='inet' pbc")
    case.replace(case.input, "tiny </address>", "0.0.0.0 </address> <port> 4001 </port>")
    case.replace(case.client, '"tiny"', '"node7"\nmode = "inet"\nport = 4001')
    assert texts(case.judge_agreement(), "error") == []
    case.replace(case.client, "4001", "4002")
    assert "4002" in texts(case.judge_agreement(), "error")[0]


def test_a_socket_without_a_client_file_is_a_warning_unless_others_serve_it(case, texts):
    second = "<ffsocket name='field' mode='unix'> <address> other </address> </ffsocket>"
    case.replace(case.input, "  <system>", f"{second}\n  <system>")
    assert "waits forever" in texts(case.judge_agreement(), "warning")[0]
    assert texts(case.judge_agreement(others_serve=True), "warning") == []


@pytest.mark.parametrize("name", ["field", "displacement"])
def test_a_field_on_both_sides_is_an_error(case, texts, name):
    case.add_field(name)
    text = case.input.read_text().replace("mode='dynamics'", "mode='driven_dynamics'")
    case.input.write_text(text)
    (error,) = texts(case.judge_agreement(), "error")
    assert f"coupled twice: by [{name}]" in error


def test_driven_dynamics_with_charges_from_the_client_wants_them_in_its_extras(case, texts):
    case.drive_with_charges_of_the_client()
    assert '"born_charges"' in texts(case.judge_agreement(), "error")[0]
    case.replace(case.client, '["dipole"]', '["dipole", "born_charges"]')
    assert texts(case.judge_agreement(), "error") == []


def test_the_default_of_the_acoustic_sum_rule_wants_charges_that_obey_it(case, texts):
    case.drive_with_charges_of_the_client()
    case.replace(case.client, '["dipole"]', '["dipole", "born_charges"]')
    assert "asr_threshold" in texts(case.judge_agreement(), "warning")[0]
    as_given = case.client.read_text()
    case.client.write_text(as_given + 'sum_rule = "restore"\n')
    assert texts(case.judge_agreement(), "warning") == []
    case.client.write_text(as_given)
    case.replace(case.input, "<timestep", "<asr_threshold> 1e-6 </asr_threshold> <timestep")
    assert texts(case.judge_agreement(), "warning") == []


def test_constant_pressure_without_a_virial_is_an_error(case, texts):
    case.replace(case.client, "structure =", 'virial = "none"\nstructure =')
    assert texts(case.judge_agreement(), "error") == []
    case.replace(case.input, "mode='nve'", "mode='npt'")
    assert "'npt'" in texts(case.judge_agreement(), "error")[0]


def test_a_pressure_without_a_virial_is_a_warning(case, texts):
    case.replace(case.client, "structure =", 'virial = "none"\nstructure =')
    case.replace(case.input, "potential ]", "pressure_md{megapascal} ]")
    assert "'pressure_md'" in texts(case.judge_agreement(), "warning")[0]


@pytest.mark.parametrize("name", ["field", "displacement"])
def test_wrapped_positions_in_a_field_are_an_error_and_silence_is_a_warning(case, texts, name):
    case.add_field(name)
    assert texts(case.judge_agreement(), "error") == []
    case.replace(case.input, "pbc='False'", "pbc='True'")
    assert "write pbc='False'" in texts(case.judge_agreement(), "error")[0]
    case.replace(case.input, " pbc='True'", "")
    assert texts(case.judge_agreement(), "error") == []
    assert "write pbc='False'" in texts(case.judge_agreement(), "warning")[0]


def test_a_restart_may_leave_out_pbc(case, texts):
    case.add_field()
    case.replace(case.input, " pbc='False'", "")
    case.replace(case.input, "<total_steps>", "<step> 2 </step> <total_steps>")
    assert texts(case.judge_agreement(), "warning") == []


def test_wrapped_positions_without_a_dipole_that_cares_are_right(case, texts):
    case.replace(case.input, "pbc='False'", "pbc='True'")
    findings = case.judge_agreement()
    assert texts(findings, "error") == texts(findings, "warning") == []


def test_clients_that_keep_their_bead_are_as_many_as_is_advised(case, texts):
    case.replace(case.input, "mode='unix' pbc", "mode='unix' matching='lock' pbc")
    (error,) = texts(case.judge_agreement(), "error")
    assert "start 4 clients (-n 4)" in error
    assert texts(case.judge_agreement(n_clients=4), "error") == []
    case.replace(case.input, "matching='lock'", "matching='auto'")
    assert texts(case.judge_agreement(), "error") == []


def test_born_charges_may_come_from_one_of_two_clients(case, texts):
    case.drive_with_charges_of_the_client()
    other = case.add_second('["born_charges"]')
    assert texts(case.judge_agreement(other), "error") == []


def test_a_field_with_an_anisotropic_barostat_is_a_warning(case, texts):
    barostat = "<barostat mode='anisotropic'> <tau> 1e4 </tau> </barostat>"
    case.replace(case.input, "<dynamics mode='nve'>", f"<dynamics mode='nst'> {barostat}")
    assert "kinetic stress" not in " ".join(texts(case.judge_agreement(), "warning"))
    case.add_field()
    assert "kinetic stress" in " ".join(texts(case.judge_agreement(), "warning"))
    # the remedy
    case.replace(case.input, "'nst'", "'npt'")
    case.replace(case.input, "'anisotropic'", "'isotropic'")
    assert "kinetic stress" not in " ".join(texts(case.judge_agreement(), "warning"))


def test_two_client_files_of_one_socket_may_differ_in_speed_only(case, texts):
    other = case.folder / "b.toml"
    other.write_text("threads = 2\n" + case.client.read_text())
    findings = case.judge_agreement(other)
    assert texts(findings, "error") == []
    assert "b.toml serve the same <ffsocket>, with the same" in " ".join(texts(findings, "ok"))
    other.write_text(case.client.read_text() + FIELD)
    (error,) = texts(case.judge_agreement(other), "error")
    assert "client.toml and " in error
    assert "b.toml serve the same <ffsocket>, but their settings differ" in error
    assert texts(case.judge_agreement(), "error") == []  # one is left out
    case.replace(other, "tiny", "own")
    case.replace(case.input, "  <system>", f"{SOCKET}\n  <system>")
    case.replace(case.input, "<forces>", "<forces> <force forcefield='b'/>")
    case.replace(other, '["dipole"]', "[]")
    assert texts(case.judge_agreement(other), "error") == []
