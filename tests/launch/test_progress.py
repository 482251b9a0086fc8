import math
import os

import pytest

from mlobs_client.errors import RecordError
from mlobs_client.ipi.input import read
from mlobs_client.launch.progress import Progress, Status
from mlobs_client.units import EV

INPUT = """<simulation>
  <output prefix='run'>
    <properties filename='cell'> [ volume, cell_h ] </properties>
    <properties filename='out'> [ step, cell_h, temperature{kelvin} ] </properties>
    <trajectory filename='spread' extra_type='energy_spread'> extras </trajectory>
  </output>
  <total_steps> 500 </total_steps>
  <system><motion><dynamics>
    <timestep units='femtosecond'> 0.5 </timestep>
  </dynamics></motion></system>
</simulation>
"""
HEADER = """# column   1     --> step : The current simulation time step.
# cols.    2-10  --> cell_h : The simulation cell as a matrix.
# column  11     --> temperature{kelvin} : The current temperature.
"""
ROW = "  {step}.0e+00 1 2 3 4 5 6 7 8 9 2.9850e+02 \n"


@pytest.fixture
def files(tmp_path):
    (tmp_path / "input.xml").write_text(INPUT)
    return tmp_path


def test_nothing_is_known_before_ipi_writes(files):
    status = Progress(read(files / "input.xml")).read(2)
    assert status == Status(None, 500, None, None, None, 2)
    assert str(status) == "step ?/500, 2 clients"


def test_step_and_temperature_are_found_behind_a_property_of_several_columns(files):
    progress = Progress(read(files / "input.xml"))
    (files / "run.out").write_text(HEADER + ROW.format(step=7))
    status = progress.read(1)
    assert (status.step, status.temperature) == (7, 298.5)


def test_the_temperature_of_one_species_is_not_that_of_all(files):
    progress = Progress(read(files / "input.xml"))
    more = "# column  12     --> temperature{kelvin}(O) : The current temperature.\n"
    (files / "run.out").write_text(HEADER + more + ROW.format(step=7).replace(" \n", " 77.0 \n"))
    assert progress.read(1).temperature == 298.5


def test_a_header_that_makes_no_sense_tells_nothing(files):
    progress = Progress(read(files / "input.xml"))
    (files / "run.out").write_text(HEADER.replace("  11 ", f" {50 * '9'} ") + ROW.format(step=7))
    assert progress.read(1).step is None


def test_an_incomplete_last_line_is_not_read(files):
    progress = Progress(read(files / "input.xml"))
    (files / "run.out").write_text(HEADER + ROW.format(step=7) + "  8.0e+00 1 2")
    assert progress.read(1).step == 7


def test_files_of_an_earlier_run_are_not_ours(files):
    (files / "run.out").write_text(HEADER + ROW.format(step=7))
    (files / "run.spread_0").write_text(f"{0.0034 * EV:.8e}\n")
    status = Progress(read(files / "input.xml")).read(1)
    assert (status.step, status.spread) == (None, None)
    status = Progress(read(files / "input.xml"), reads_old=True).read(1)
    assert status.step == 7
    assert status.spread is not None


def test_what_is_written_on_a_file_server_whose_clock_is_slow_is_ours(files):
    (files / "run.out").write_text(HEADER)
    progress = Progress(read(files / "input.xml"))
    with (files / "run.out").open("a") as stream:
        stream.write(ROW.format(step=7))
    os.utime(files / "run.out", (1e9, 1e9))
    assert progress.read(1).step == 7


def test_the_speed_is_simulated_over_wall_time(files, monkeypatch):
    progress = Progress(read(files / "input.xml"))
    clock = iter([100.0, 102.0])
    monkeypatch.setattr("mlobs_client.launch.progress.time.monotonic", lambda: next(clock))
    (files / "run.out").write_text(HEADER + ROW.format(step=10))
    assert progress.read(1).ns_per_day is None
    (files / "run.out").write_text(HEADER + ROW.format(step=50))
    # 40 steps of 0.5 fs in 2 s; i-PI's fs differs from CODATA's in the seventh digit
    assert progress.read(1).ns_per_day == pytest.approx(10e-6 * 86400, rel=1e-5)


def test_the_spread_of_the_first_bead_is_shown_in_mev(files):
    progress = Progress(read(files / "input.xml"))
    (files / "run.spread_00").write_text(f" #EXTRAS# Step: 1\n  {0.0034 * EV:.8e}\n")
    (files / "run.spread_01").write_text(" #EXTRAS# Step: 1\n  9.0\n")
    status = progress.read(1)
    assert status.spread == pytest.approx(3.4, rel=1e-6)  # nine digits are in the file
    assert "spread 3.4 meV" in str(status)


SYSTEM = "<system prefix='{}'><motion/></system>"
TEMPLATE = (
    "<system_template><labels> [ I ] </labels><instance> [ a ] </instance>"
    "<instance> [ b ] </instance><template>{}</template></system_template>"
)


@pytest.mark.parametrize(
    "systems",
    [SYSTEM.format("a") + SYSTEM.format("b"), TEMPLATE.format(SYSTEM.format("I"))],
    ids=["systems", "template"],
)
def test_of_several_systems_the_last_common_step_and_the_hottest_are_shown(files, systems):
    begin, end = INPUT.index("<system>"), INPUT.index("</simulation>")
    (files / "input.xml").write_text(INPUT[:begin] + systems + INPUT[end:])
    progress = Progress(read(files / "input.xml"))
    (files / "a_run.out").write_text(HEADER + ROW.format(step=7))
    assert progress.read(1).step is None  # the other has not begun
    hot = ROW.replace("2.9850e+02", "4.0000e+05")
    (files / "b_run.out").write_text(HEADER + hot.format(step=6))
    (files / "b_run.spread_0").write_text(f" #EXTRAS# Step: 6\n  {0.002 * EV:.8e}\n")
    status = progress.read(1)
    assert (status.step, status.temperature) == (6, 4e5)
    assert status.spread == pytest.approx(2.0, rel=1e-6)  # nine digits are in the file


def test_a_system_without_a_temperature_does_not_hide_behind_another(files):
    systems = SYSTEM.format("a") + SYSTEM.format("b")
    begin, end = INPUT.index("<system>"), INPUT.index("</simulation>")
    (files / "input.xml").write_text(INPUT[:begin] + systems + INPUT[end:])
    progress = Progress(read(files / "input.xml"))
    for prefix, temperature in (("a", "2.9850e+02"), ("b", "nan")):
        row = ROW.replace("2.9850e+02", temperature).format(step=6)
        (files / f"{prefix}_run.out").write_text(HEADER + row)
    temperature = progress.read(1).temperature
    assert temperature is not None
    assert math.isnan(temperature)


def test_a_unit_of_time_that_ipi_does_not_have_is_named_with_those_it_has(files):
    text = INPUT.replace("femtosecond", "femtosecnd")
    (files / "input.xml").write_text(text)
    with pytest.raises(
        RecordError, match=r"input\.xml: <timestep>: unknown unit 'femtosecnd'.*second"
    ):
        Progress(read(files / "input.xml"))


def test_a_time_step_without_a_number_is_none(files):
    (files / "input.xml").write_text(INPUT.replace("> 0.5 <", "> <"))
    assert read(files / "input.xml").timestep is None
    assert Progress(read(files / "input.xml")).read(1).ns_per_day is None
