"""Campaigns: which runs there are, from which others they start, and that they stay the same."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from campaigns import write_campaign

from mlobs_client.campaign.campaign import Campaign, load
from mlobs_client.errors import ConfigError


def edit(path: Path, old: str, new: str) -> Path:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))
    return path


def begin(campaign: Campaign, name: str) -> Path:
    run = campaign.runs[name]
    campaign.template.write(
        campaign.values(run), run.folder, run.describe_start(campaign.plan()[name])
    )
    return run.folder


def advance(folder: Path, step: int) -> None:
    """As if i-PI had written this step."""
    (folder / "simulation.out").write_text(f"# column   1     --> step : s\n {step:.8e}\n")


def listed(folder: Path, *runs: str) -> Path:
    """A campaign of [[runs]] with the parameters temperature and seed."""
    path = write_campaign(folder, after="")
    head, _, tail = path.read_text().partition("[parameters]")
    parameters = "parameters = { temperature = 300, seed = 1 }\n"
    tables = "".join(f"[[runs]]\n{run}\n{parameters}" for run in runs)
    path.write_text(head + tables + tail[tail.index("[execution]") :])
    return path


def test_all_combinations_are_run_each_after_its_neighbour(tmp_path: Path) -> None:
    campaign = load(write_campaign(tmp_path))
    assert {name: run.after for name, run in campaign.runs.items()} == {
        "temperature=280_seed=1": None,
        "temperature=280_seed=2": None,
        "temperature=300_seed=1": "temperature=280_seed=1",
        "temperature=300_seed=2": "temperature=280_seed=2",
    }


def test_a_listed_run_comes_behind_the_one_that_it_starts_from(tmp_path: Path) -> None:
    path = listed(tmp_path, "name='c'\nafter='b'", "name='b'\nafter='a'", "name='a'")
    assert list(load(path).runs) == ["a", "b", "c"]


@pytest.mark.parametrize(
    ("runs", "said"),
    [
        (["name='a'\nafter='b'", "name='b'\nafter='a'"], "a would start from its own end"),
        (["name='a'\nafter='a'"], "a would start from its own end"),
        (
            ["name='aa'", "name='b'\nafter='aaa'"],
            "'aaa', which is not a run of this campaign; did you mean 'aa'?",
        ),
        (["name='a'", "name='A'"], "two runs would have the folder"),
    ],
)
def test_runs_that_cannot_be_are_an_error(tmp_path: Path, runs: list[str], said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load(listed(tmp_path, *runs))
    assert said in str(caught.value)


def test_names_of_folders_suit_every_file_system(tmp_path: Path) -> None:
    path = write_campaign(tmp_path, after="")
    edit(path, "[280, 300]", '["0 0 0.1", "a/b", -1.5, "ü"]')
    names = [name for name in load(path).runs if name.endswith("seed=1")]
    assert names == [
        "temperature=0-0-0.1_seed=1",
        "temperature=a-b_seed=1",
        "temperature=-1.5_seed=1",
        "temperature=-_seed=1",
    ]


def test_two_values_that_would_share_a_folder_are_an_error(tmp_path: Path) -> None:
    path = edit(write_campaign(tmp_path, after=""), "[280, 300]", '["a b", "a/b"]')
    with pytest.raises(ConfigError, match="two runs would have the folder temperature=a-b_seed=1"):
        load(path)


def test_the_first_of_a_row_starts_as_the_file_says_and_the_others_from_a_checkpoint(
    tmp_path: Path,
) -> None:
    campaign = load(write_campaign(tmp_path))
    starts = [campaign.values(run)["start"] for run in campaign.runs.values()]
    assert "<file mode='ase'> init.xyz </file>" in starts[0]
    assert "<velocities mode='thermal' units='kelvin'> 280 </velocities>" in starts[0]
    assert starts[2] == "<file mode='chk'> start.chk </file>"


@pytest.mark.parametrize(
    ("file", "old", "new", "said"),
    [
        ("campaign.toml", "start = ", "# ", "$start has no value for run temperature=280_seed=1"),
        ("campaign.toml", "> $temperature <", "> $temp <", "a $ without a parameter"),
        (
            "campaign.toml",
            "seed = ",
            "sed = ",
            "$seed is not a parameter of this campaign; did you",
        ),
        ("template/input.xml", "$seed", "4", "the parameter seed changes nothing; write $seed"),
        ("template/input.xml", "$start", "", "no file in "),
        ("campaign.toml", "after =", "client_files = ['other.toml']\nafter =", "no other.toml"),
    ],
)
def test_a_mistake_is_found_before_anything_is_started(
    tmp_path: Path, file: str, old: str, new: str, said: str
) -> None:
    path = write_campaign(tmp_path)
    edit(tmp_path / file, old, new)
    with pytest.raises(ConfigError) as caught:
        load(path).plan()
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ('"300 <"', "cannot be read as XML"),
        ('"300 & more"', "cannot be read as XML"),
        ('"warm"', "<temperature> is 'warm'"),
        ("-1", "<temperature> is -1"),
    ],
)
def test_a_parameter_with_which_a_file_cannot_be_read_is_found_by_the_plan(
    tmp_path: Path, value: str, said: str
) -> None:
    path = edit(write_campaign(tmp_path), "[280, 300]", f"[280, {value}]")
    with pytest.raises(ConfigError, match=r"run temperature=.* cannot be read with") as caught:
        load(path).plan()
    assert said in str(caught.value)


def test_a_parameter_that_is_written_as_advised_is_read(tmp_path: Path) -> None:
    path = edit(write_campaign(tmp_path), "seed = [1, 2]", "seed = [1, 2]\nword = ['a < b']")
    edit(tmp_path / "template" / "input.xml", "<total_steps>", "<doc> $word </doc> <total_steps>")
    with pytest.raises(ConfigError, match="write &lt; for <"):
        load(path).plan()
    edit(path, "a < b", "a &lt; b")
    assert len(load(path).plan()) == 4


def test_a_parameter_that_breaks_a_client_file_is_found_by_the_plan(tmp_path: Path) -> None:
    path = edit(write_campaign(tmp_path), "seed = [1, 2]", "seed = [1, 2]\nthreads = [1, 0]")
    edit(tmp_path / "template" / "client.toml", "virial", "threads = $threads\nvirial")
    with pytest.raises(ConfigError, match=r"threads=0 cannot be read with .*: threads = 0: "):
        load(path).plan()


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        ("template/input.xml", "<total_steps> 100", "<total_steps> 200"),
        ("template/init.xyz", "O 0.0", "O 0.1"),
        ("campaign.toml", "init.xyz", "other.xyz"),
    ],
)
def test_a_run_that_would_be_another_one_now_is_an_error_that_names_it(
    tmp_path: Path, file: str, old: str, new: str
) -> None:
    path = write_campaign(tmp_path)
    folder = begin(load(path), "temperature=280_seed=2")
    advance(folder, 3)
    load(path).plan()
    edit(tmp_path / file, old, new)
    with pytest.raises(ConfigError) as caught:
        load(path).plan()
    assert "run temperature=280_seed=2 would now be a different one" in str(caught.value)
    assert f"or remove {folder}" in str(caught.value)


def test_an_error_says_how_many_runs_have_changed(tmp_path: Path) -> None:
    path = write_campaign(tmp_path)
    for seed in (1, 2):
        advance(begin(load(path), f"temperature=280_seed={seed}"), 3)
    edit(tmp_path / "template" / "init.xyz", "O 0.0", "O 0.1")
    with pytest.raises(ConfigError, match=r"seed=1 \(and 1 more\) would now be a different one"):
        load(path).plan()


@pytest.mark.parametrize("step", [None, 0])
def test_a_run_that_made_no_step_is_replaced(tmp_path: Path, step: int | None) -> None:
    path = write_campaign(tmp_path)
    folder = begin(load(path), "temperature=280_seed=2")
    if step is not None:
        advance(folder, step)
    edit(tmp_path / "template" / "init.xyz", "O 0.0", "O 0.1")
    campaign = load(path)
    assert [run.name for run in campaign.find_replaced(campaign.plan())] == [folder.name]


def test_outputs_that_tell_no_step_are_not_replaced(tmp_path: Path) -> None:
    path = write_campaign(tmp_path)
    edit(tmp_path / "template" / "input.xml", "[step, ", "[")
    folder = begin(load(path), "temperature=280_seed=2")
    (folder / "simulation.pos_0.xyz").touch()
    edit(tmp_path / "template" / "init.xyz", "O 0.0", "O 0.1")
    with pytest.raises(ConfigError, match="would now be a different one"):
        load(path).plan()


def test_more_values_leave_the_runs_that_have_begun_as_they_are(tmp_path: Path) -> None:
    path = write_campaign(tmp_path)
    begin(load(path), "temperature=280_seed=2")
    edit(path, "[1, 2]", "[1, 2, 3]")
    assert len(load(path).plan()) == 6


def test_a_thousand_runs_are_planned_within_five_seconds(tmp_path: Path) -> None:
    path = write_campaign(tmp_path, temperatures=range(100), seeds=range(10))
    campaign = load(path)
    for name in list(campaign.runs)[::2]:  # half of them have begun
        run = campaign.runs[name]
        run.folder.mkdir(parents=True)
        for file, content in run.describe_start(campaign.digest(run)).items():
            (run.folder / file).write_bytes(content)
    started = time.monotonic()
    again = load(path)
    assert len(again.plan()) == 1000
    assert len([run.read_state() for run in again.runs.values()]) == 1000
    assert time.monotonic() - started < 5.0


def test_a_run_changes_with_the_one_that_it_starts_from(tmp_path: Path) -> None:
    path = write_campaign(tmp_path)
    before = load(path).plan()
    edit(path, "<file mode='ase'> init.xyz", "<file mode='ase'> other.xyz")
    campaign = load(path)
    after = campaign.plan()
    assert all(before[name] != after[name] for name in before)
    assert {name: campaign.digest(run) for name, run in campaign.runs.items()} == after


@pytest.mark.parametrize(
    "name", ["RESTART", "EXIT", "done.json", "i-pi.log", "start.chk", "backups/1/x.out"]
)
def test_what_a_run_has_left_is_no_template(tmp_path: Path, name: str) -> None:
    path = write_campaign(tmp_path)
    (tmp_path / "template" / name).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / "template" / name).write_text("<simulation/>")
    with pytest.raises(ConfigError, match=f"{name} was left by a run"):
        load(path).plan()


@pytest.mark.parametrize("name", [".input.xml.swp", "input.xml~", ".git/HEAD"])
def test_files_of_editors_change_no_run(tmp_path: Path, name: str) -> None:
    path = write_campaign(tmp_path)
    before = load(path).plan()
    (tmp_path / "template" / name).parent.mkdir(exist_ok=True)
    (tmp_path / "template" / name).write_text("$nothing")
    assert load(path).plan() == before
