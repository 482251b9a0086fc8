"""Who serves what in a run."""

from __future__ import annotations

from pathlib import Path

from mlobs_client.client import config as client_file
from mlobs_client.client.service import ClientFile
from mlobs_client.ipi.input import IpiInput, read
from mlobs_client.launch.service import find_counting, name_clients

CLIENT = """structure = "init.xyz"
[socket]
address = "{address}"
[potential]
kind = "toy"
name = "qtip4pf"
"""
STRIDE = '[observables]\nextras = ["dipole"]\nstride = 5\n'
SYSTEM = """<system> <initialize nbeads='4'/> <forces> <force forcefield='a'/> </forces>
  <motion mode='dynamics'> <dynamics mode='nvt'/> </motion> </system>"""


def ipi_with(folder: Path, *addresses: str, batch_size: int = 1) -> IpiInput:
    sockets = "".join(
        f"<ffsocket name='{name}' mode='unix'> <address> {address} </address> "
        f"<batch_size> {batch_size} </batch_size> </ffsocket>"
        for name, address in zip("abc", addresses, strict=False)
    )
    (folder / "input.xml").write_text(f"<simulation> {sockets} {SYSTEM} </simulation>")
    return read(folder / "input.xml")


def client(folder: Path, name: str, address: str, tables: str = "", n: int = 1) -> ClientFile:
    path = folder / f"{name}.toml"
    path.parent.mkdir(exist_ok=True)
    path.write_text(CLIENT.format(address=address) + tables)
    return ClientFile(path, client_file.load_config(path), n)


def counting(folder: Path, tables: str, batch_size: int, n_clients: int) -> frozenset[str]:
    """Which clients would be told the step."""
    ipi = ipi_with(folder, "tiny", batch_size=batch_size)
    file = client(folder, "client", "tiny", tables)
    return find_counting(ipi, {f"client-{i}": file for i in range(n_clients)})


def test_only_a_client_that_alone_gets_whole_steps_and_has_a_use_for_them_counts(
    tmp_path: Path,
) -> None:
    assert counting(tmp_path, STRIDE, batch_size=4, n_clients=1) == {"client-0"}
    assert counting(tmp_path, "", batch_size=4, n_clients=1) == frozenset()
    assert counting(tmp_path, STRIDE, batch_size=2, n_clients=1) == frozenset()
    assert counting(tmp_path, STRIDE, batch_size=4, n_clients=2) == frozenset()


def test_each_process_has_a_name_of_its_own_also_where_files_are_called_the_same(
    tmp_path: Path,
) -> None:
    ipi = ipi_with(tmp_path, "water", "field")
    files = [
        client(tmp_path, "one/client", "water", n=2),
        client(tmp_path, "two/client", "field", n=1),
    ]
    named = name_clients(ipi, files)
    assert {name: file.path.parent.name for name, file in named.items()} == {
        "client-0": "one", "client-1": "one", "client-2": "two"
    }  # fmt: skip


def test_a_file_that_serves_nothing_is_not_started(tmp_path: Path) -> None:
    files = [client(tmp_path, "used", "tiny"), client(tmp_path, "idle", "elsewhere")]
    assert list(name_clients(ipi_with(tmp_path, "tiny"), files)) == ["used-0"]
