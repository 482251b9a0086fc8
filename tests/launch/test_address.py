import os
import socket
import uuid
from pathlib import Path

import pytest

from mlobs_client.client.config import parse
from mlobs_client.client.service import ClientFile
from mlobs_client.errors import LaunchError
from mlobs_client.ipi.input import IpiInput, read
from mlobs_client.launch.address import free_addresses, sockets_of_run

INPUT = """<simulation sockets_prefix='{prefix}'>
  <ffsocket name='mlobs' mode='{mode}'>
    <address> {address} </address> <port> {port} </port>
  </ffsocket>
</simulation>
"""


@pytest.fixture
def prefix():
    """Short, as paths of sockets must be."""
    prefix = f"/tmp/mlobs_{uuid.uuid4().hex[:8]}_"
    yield prefix
    Path(f"{prefix}water").unlink(missing_ok=True)


def make(folder: Path, prefix: str, mode="unix", address="water", port=4000) -> IpiInput:
    path = folder / "input.xml"
    path.write_text(INPUT.format(prefix=prefix, mode=mode, address=address, port=port))
    return read(path)


def test_a_free_address_is_left_as_it_is(tmp_path, prefix):
    free_addresses(make(tmp_path, prefix))
    assert not Path(f"{prefix}water").exists()


def test_a_server_that_listens_is_an_error_that_names_its_process(tmp_path, prefix):
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(f"{prefix}water")
        server.listen()
        with pytest.raises(LaunchError, match="choose another <address>") as caught:
            free_addresses(make(tmp_path, prefix))
        assert f"process {os.getpid()}" in str(caught.value)
        assert Path(f"{prefix}water").exists()


def test_what_a_dead_server_left_is_removed_and_said(tmp_path, prefix, caplog):
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(f"{prefix}water")
    free_addresses(make(tmp_path, prefix))
    assert not Path(f"{prefix}water").exists()
    assert f"{prefix}water" in caplog.text


def test_a_name_that_is_too_long_for_a_socket_is_an_error(tmp_path, prefix):
    with pytest.raises(LaunchError, match="too long"):
        free_addresses(make(tmp_path, prefix, address=200 * "w"))


def test_a_port_in_use_is_an_error_that_names_it(tmp_path, prefix):
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        port = server.getsockname()[1]
        with pytest.raises(LaunchError, match=f"port {port} .* is in use"):
            free_addresses(make(tmp_path, prefix, "inet", "127.0.0.1", port))
    free_addresses(make(tmp_path, prefix, "inet", "127.0.0.1", port))


@pytest.mark.parametrize("address", ["192.0.2.1", "no-such-host.invalid"])
def test_an_address_that_is_not_ours_is_an_error(tmp_path, prefix, address):
    with pytest.raises(LaunchError, match="a name or an address of this machine") as caught:
        free_addresses(make(tmp_path, prefix, "inet", address))
    assert address in str(caught.value)


def client(address: str) -> ClientFile:
    potential = {"kind": "toy", "name": "qtip4pf"}
    table = {"structure": "init.xyz", "socket": {"address": address}, "potential": potential}
    return ClientFile(Path("client.toml"), parse(table, "client.toml"))


def test_a_run_has_a_folder_for_its_sockets_which_goes_with_it(tmp_path, prefix):
    ipi = make(tmp_path, prefix)
    with (
        sockets_of_run(ipi, [client("water")]) as one,
        sockets_of_run(ipi, [client("water")]) as other,
    ):
        first, second = one.prefix, other.prefix
        assert first != second
        assert Path(first).stat().st_mode & 0o777 == 0o700
        assert make(tmp_path, first).sockets_prefix == "/tmp/ipi_"  # in the RESTART of this run
    assert not Path(first).exists()


def test_where_paths_are_given_sockets_are_where_the_input_says(tmp_path, prefix):
    ipi = make(tmp_path, prefix)
    for clients in ([client(f"{prefix}water")], []):
        with sockets_of_run(ipi, clients) as found:
            assert found.prefix == prefix


def test_sockets_inside_of_committees_stay_where_i_pi_makes_them(tmp_path, prefix):
    path = make(tmp_path, prefix).path
    text = path.read_text().replace("<ffsocket", "<ffcommittee name='all'> <ffsocket", 1)
    path.write_text(text.replace("</ffsocket>", "</ffsocket> </ffcommittee>"))
    with sockets_of_run(read(path), [client("water")]) as found:
        assert found.prefix == prefix
