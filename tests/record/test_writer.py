"""A record keeps every row that was acknowledged, whatever happens afterwards."""

from __future__ import annotations

import contextlib
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import h5py
import numpy as np
import pytest

from mlobs_client.errors import RecordError
from mlobs_client.record.reader import open_record
from mlobs_client.record.writer import RecordWriter, open_next_record

N_ATOMS = 3
SHAPES = {"energy": (), "born_charges": (N_ATOMS, 3, 3)}
ATTRIBUTES = {"client": 'structure = "init.xyz"', "numbers": [8, 1, 1]}


def values(i: int) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(i)
    return {"energy": np.array(float(i)), "born_charges": rng.normal(size=(N_ATOMS, 3, 3))}


def write(path: Path, n_rows: int) -> None:
    with RecordWriter(path, SHAPES, ATTRIBUTES) as writer:
        for i in range(n_rows):
            writer.append([values(i)])


def assert_holds(path: Path, n_rows: int) -> None:
    record = open_record(path)
    assert len(record) == n_rows
    for i in range(n_rows):
        expected = values(i)
        for name, value in expected.items():
            np.testing.assert_array_equal(record.read(name, i), value)


def test_rows_are_numbered_on_from_zero_over_batches(tmp_path: Path) -> None:
    with RecordWriter(tmp_path / "a.h5", SHAPES, ATTRIBUTES) as writer:
        assert list(writer.append([values(0), values(1)])) == [0, 1]
        assert list(writer.append([])) == []
        assert list(writer.append([values(2)])) == [2]
    assert_holds(tmp_path / "a.h5", 3)


@pytest.mark.parametrize("n_rows", [1, 2, 7])
def test_a_record_is_an_ordinary_hdf5_file_with_units(tmp_path: Path, n_rows: int) -> None:
    write(tmp_path / "a.h5", n_rows)
    with h5py.File(tmp_path / "a.h5") as file:
        rows = file["observables"]
        assert rows.shape == (n_rows,)
        assert rows.attrs["born_charges.unit"] == "e"
        assert "dipole_i/d R_Ij" in rows.attrs["born_charges.meaning"]
        assert file.attrs["client"] == ATTRIBUTES["client"]
        for i in range(n_rows):
            np.testing.assert_array_equal(rows["born_charges"][i], values(i)["born_charges"])


def test_a_record_is_an_ordinary_hdf5_file_while_it_grows(tmp_path: Path) -> None:
    with RecordWriter(tmp_path / "a.h5", SHAPES, ATTRIBUTES) as writer:
        for i in range(3):
            writer.append([values(i)])
            with h5py.File(tmp_path / "a.h5", locking=False) as file:
                assert list(file["observables"]["energy"]) == list(range(i + 1))
            assert_holds(tmp_path / "a.h5", i + 1)


def test_other_programs_can_copy_a_record_with_the_hdf5_library(tmp_path: Path) -> None:
    write(tmp_path / "a.h5", 3)
    with h5py.File(tmp_path / "a.h5") as old, h5py.File(tmp_path / "b.h5", "w") as new:
        old.copy("observables", new)
    with h5py.File(tmp_path / "b.h5") as file:
        np.testing.assert_array_equal(
            file["observables"]["born_charges"][2], values(2)["born_charges"]
        )


def test_a_record_cut_at_any_byte_keeps_all_whole_rows(tmp_path: Path) -> None:
    path = tmp_path / "a.h5"
    write(path, 3)
    content = path.read_bytes()
    row = 8 + 9 * N_ATOMS * 8 + 8
    data = len(content) - 3 * row
    for length in range(data, len(content)):
        path.write_bytes(content[:length])
        assert_holds(path, (length - data) // row)


def test_a_record_cut_inside_its_header_is_refused_or_shows_no_rows(tmp_path: Path) -> None:
    path = tmp_path / "a.h5"
    write(path, 3)
    content = path.read_bytes()
    for length in range(0, len(content) - 3 * 232, 7):
        path.write_bytes(content[:length])
        with contextlib.suppress(RecordError):
            assert len(open_record(path)) == 0


@pytest.mark.parametrize("lost", [1, 100, 231, 232, 233, 500])
def test_a_record_that_was_cut_is_continued_and_is_whole_again(tmp_path: Path, lost: int) -> None:
    path = tmp_path / "a.h5"
    write(path, 4)
    path.write_bytes(path.read_bytes()[:-lost])
    with RecordWriter(path, SHAPES, ATTRIBUTES) as writer:
        first = len(writer)
        assert first == 4 - -(-lost // 232)
        writer.append([values(i) for i in range(first, 6)])
    assert_holds(path, 6)
    with h5py.File(path) as file:
        assert file["observables"].shape == (6,)


def test_a_torn_last_row_is_not_shown(tmp_path: Path) -> None:
    path = tmp_path / "a.h5"
    write(path, 4)
    content = bytearray(path.read_bytes())
    content[-100] ^= 1
    path.write_bytes(content)
    assert_holds(path, 3)


def test_a_damaged_row_in_the_middle_is_found(tmp_path: Path) -> None:
    path = tmp_path / "a.h5"
    write(path, 4)
    content = bytearray(path.read_bytes())
    content[-2 * 232 - 50] ^= 1
    path.write_bytes(content)
    assert open_record(path).find_corrupt_rows() == [1]


KILLED = """
import sys, numpy as np
from pathlib import Path
from mlobs_client.record.writer import RecordWriter
with RecordWriter(Path(sys.argv[1]), {"energy": (), "born_charges": (400, 3, 3)}, {}) as writer:
    while True:
        start = len(writer)
        numbers = range(start, start + 8)
        rows = [{"energy": i, "born_charges": np.full((400, 3, 3), i)} for i in numbers]
        print(writer.append(rows)[-1], flush=True)
"""


def test_rows_that_were_acknowledged_survive_a_kill_at_any_moment(tmp_path: Path) -> None:
    path = tmp_path / "a.h5"
    rng = np.random.default_rng(3)
    for _ in range(4):  # each client continues the record of the one before
        command = [sys.executable, "-c", KILLED, str(path)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as client:
            assert client.stdout is not None
            first = client.stdout.readline()
            time.sleep(rng.uniform(0.0, 0.1))
            client.send_signal(signal.SIGKILL)
            last = int((first + client.stdout.read()).split()[-1])
        record = open_record(path)
        assert len(record) > last
        assert record.find_corrupt_rows() == []
        np.testing.assert_array_equal(record.read("energy"), np.arange(len(record)))
        assert (record.read("born_charges", last) == last).all()


FULL = """
import sys, resource, signal
from pathlib import Path
from mlobs_client.errors import RecordError
from mlobs_client.record.writer import RecordWriter
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (20000, 20000))
with RecordWriter(Path(sys.argv[1]), {"born_charges": (3, 3, 3)}, {}) as writer:
    try:
        while True:
            writer.append([{"born_charges": [[[len(writer)] * 3] * 3] * 3}])
    except RecordError as error:
        print(len(writer), error)
"""


def test_a_full_disk_is_one_clear_error_and_loses_nothing(tmp_path: Path) -> None:
    assert resource.RLIMIT_FSIZE  # the limit of a process stands for the full disk
    path = tmp_path / "a.h5"
    command = [sys.executable, "-c", FULL, str(path)]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    n_rows = int(said.split()[0])
    assert f"cannot append row {n_rows}" in said
    record = open_record(path)
    np.testing.assert_array_equal(record.read("born_charges")[:, 0, 0, 0], np.arange(n_rows))
    with h5py.File(path) as file:
        assert file["observables"].shape == (n_rows,)


FULL_AT_ONCE = """
import sys, resource, signal
from pathlib import Path
from mlobs_client.errors import RecordError
from mlobs_client.record.writer import open_next_record
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
try:
    open_next_record(Path(sys.argv[1]), {"born_charges": (3, 3, 3)}, {})
except RecordError as error:
    print(error)
"""


def test_a_disk_that_is_full_from_the_start_is_one_clear_error(tmp_path: Path) -> None:
    command = [sys.executable, "-c", FULL_AT_ONCE, str(tmp_path / "a.h5")]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert "a.h5: cannot be written: File too large" in said
    assert [path.name for path in tmp_path.iterdir()] == ["a.h5"]
    write(tmp_path / "a.h5", 2)  # what is left of it does not stand in the way
    assert_holds(tmp_path / "a.h5", 2)


def test_two_writers_of_one_record_are_refused(tmp_path: Path) -> None:
    with RecordWriter(tmp_path / "a.h5", SHAPES, ATTRIBUTES) as writer:
        with pytest.raises(RecordError, match="another client is writing"):
            RecordWriter(tmp_path / "a.h5", SHAPES, ATTRIBUTES)
        writer.append([values(0)])
    assert_holds(tmp_path / "a.h5", 1)


def test_clients_that_share_a_name_write_records_of_their_own(tmp_path: Path) -> None:
    path = tmp_path / "a.h5"
    with open_next_record(path, SHAPES, ATTRIBUTES) as one:
        with open_next_record(path, SHAPES, ATTRIBUTES) as other:
            one.append([values(0)])
            other.append([values(0), values(1)])
            assert (one.path.name, other.path.name) == ("a.h5", "a-1.h5")
        with open_next_record(path, SHAPES, ATTRIBUTES) as restarted:  # continues the free one
            assert (restarted.path.name, len(restarted)) == ("a-1.h5", 2)


def test_a_client_with_other_models_leaves_the_old_record_alone(tmp_path: Path) -> None:
    path = tmp_path / "a.h5"
    write(path, 2)
    with open_next_record(path, SHAPES, {**ATTRIBUTES, "client": "other"}) as writer:
        assert writer.path.name == "a-1.h5"
        writer.append([values(0)])
    assert_holds(path, 2)


@pytest.mark.parametrize(
    ("shapes", "attributes", "said"),
    [
        ({"energy": ()}, ATTRIBUTES, r"energy\[\], born_charges\[3, 3, 3\]"),
        (SHAPES, {**ATTRIBUTES, "numbers": [8, 1, 2]}, r"'numbers'.*\[8, 1, 1\].*\[8, 1, 2\]"),
        (SHAPES, {"numbers": [8, 1, 1]}, "'client'"),
    ],
)
def test_a_record_of_something_else_is_not_continued(tmp_path, shapes, attributes, said) -> None:
    write(tmp_path / "a.h5", 1)
    with pytest.raises(RecordError, match=said):
        RecordWriter(tmp_path / "a.h5", shapes, attributes)


def test_a_file_that_is_no_record_is_left_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "a.h5"
    path.write_text("precious")
    with open_next_record(path, SHAPES, ATTRIBUTES) as writer:
        writer.append([values(0)])
        assert writer.path.name == "a-1.h5"
    assert path.read_text() == "precious"


def test_a_record_without_rows_leaves_no_file(tmp_path: Path) -> None:
    RecordWriter(tmp_path / "a.h5", SHAPES, ATTRIBUTES).close()
    assert list(tmp_path.iterdir()) == []


def test_wrong_rows_are_refused_and_change_nothing(tmp_path: Path) -> None:
    path = tmp_path / "a.h5"
    with RecordWriter(path, SHAPES, ATTRIBUTES) as writer:
        writer.append([values(0)])
        with pytest.raises(
            RecordError, match=r"born_charges with shape \(3, 3, 3\), got \(4, 3, 3\)"
        ):
            writer.append([values(1), {"energy": 0.0, "born_charges": np.zeros((4, 3, 3))}])
        with pytest.raises(RecordError, match="needs 'born_charges'"):
            writer.append([{"energy": 0.0}])
    assert_holds(path, 1)


def test_an_unknown_column_or_a_missing_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RecordError, match="cannot hold 'energie'"):
        open_next_record(tmp_path / "a.h5", {"energie": ()}, {})
    with pytest.raises(RecordError, match="folder does not exist"):
        open_next_record(tmp_path / "no" / "a.h5", SHAPES, {})


def test_a_device_that_takes_nothing_is_one_clear_error() -> None:
    with pytest.raises(RecordError, match="/dev/full: cannot be written: No space left"):
        RecordWriter(Path("/dev/full"), SHAPES, ATTRIBUTES)
