"""The builder: one build after another, in the order that is promised; what fails says why; what is stopped goes on."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from app.shell import builder, building
from app.shell.builder import Builder
from backend.build import lock
from backend.catalog import ROOT
from backend.errors import BuildError, CheckpointError, UnknownModel, UsageError
from backend.explorer import Explorer
from tests.backend import tiny_store
from tests.pages.image_models import IMAGES, prepare_images

EVIL = '<img src=x onerror="alert(1)">'


def states_of(progress: Path) -> list[tuple[str, str]]:
    return [(entry["state"], entry["line"]) for entry in builder.read_progress(progress)]


def until(reached, seconds: float = 15.0) -> bool:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if reached():
            return True
        time.sleep(0.05)
    return False


def python(*lines: str) -> list[str]:
    """A command that stands for a build."""
    return [sys.executable, "-c", "\n".join(("import json, pathlib, sys, time", *lines))]


def report(stage: str, done: int, total: int, left: float | None = None) -> str:
    """A line of Python that reports progress as `--progress-json` does."""
    said = json.dumps({"stage": stage, "done": done, "total": total, "left": left})
    return f"print({said!r}, file=sys.stderr, flush=True)"


@pytest.fixture
def run(tmp_path):
    """Starts a builder with commands of the test: `progress = run({"a": python(...)}, ["a"])`."""
    started = []

    def start(commands, models=()):
        progress = tmp_path / f"progress-{len(started)}.json"
        at_work = Builder(tmp_path, progress, models, lambda model, data_dir: commands[model])
        started.append(at_work)
        at_work.start()
        return progress

    yield start
    for at_work in started:
        at_work.stop()


def test_a_build_waits_for_anothers_and_a_failed_one_keeps_its_reason_and_is_tried_again(run, tmp_path):
    free, mark = tmp_path / "free", tmp_path / "mark"
    waits = python(
        report(f"{lock.WAITING}: process 7 builds 'novel'", 0, 0),
        f"while not pathlib.Path({str(free)!r}).exists(): time.sleep(0.02)",
        report("build, encode, 5 of 10", 5, 10),
    )
    fails_once = python(
        f"mark = pathlib.Path({str(mark)!r})",
        "if not mark.exists():",
        "    mark.touch()",
        "    " + report("build, load model", 1, 10),
        "    sys.exit('There was no room left.')",
    )
    progress = run({EVIL: fails_once, "b": waits}, [EVIL, "b"])
    said = f"{lock.WAITING}: process 7 builds 'novel'"
    assert until(lambda: states_of(progress) == [("failed", "There was no room left."), (lock.WAITING, said)])
    shown = "".join(str(building.progress(entry)) for entry in builder.read_progress(progress))
    assert "There was no room left." in shown and lock.WAITING in shown and "<img" not in shown
    builder.ask(tmp_path, EVIL)
    free.touch()
    assert until(lambda: sorted(state for state, _ in states_of(progress)) == ["done", "done"])
    assert not builder.asked_file(tmp_path, EVIL).exists() and builder.asked(tmp_path) == []


def test_what_somebody_asks_for_comes_before_what_nobody_has_asked_for(run, tmp_path):
    free = tmp_path / "free"
    held = python(f"while not pathlib.Path({str(free)!r}).exists(): time.sleep(0.02)")
    progress = run(dict.fromkeys("abcd", held), ["a", "b"])
    assert until(lambda: [state for state, _ in states_of(progress)] == ["building", "waiting"])
    builder.ask(tmp_path, "c")
    assert until(lambda: len(states_of(progress)) == 3)
    builder.ask(tmp_path, "d")
    assert until(lambda: [entry["model"] for entry in builder.read_progress(progress)] == ["a", "c", "d", "b"])
    free.touch()
    assert until(lambda: {state for state, _ in states_of(progress)} == {"done"})


def test_a_build_is_stopped_by_whoever_asks_and_one_that_waits_is_not_begun(run, tmp_path):
    began = tmp_path / "began"
    endless = python(report("build, encode", 30, 100, 12.5), "time.sleep(60)")
    never = python(f"pathlib.Path({str(began)!r}).touch()")
    progress = run({"a": endless, "b": never}, ["a", "b"])
    assert until(lambda: states_of(progress)[:1] == [("building", "encode")])
    entry = builder.read_progress(progress)[0]
    assert (entry["share"], entry["left"]) == (0.3, 12.5)
    builder.ask(tmp_path, "b", builder.STOP)
    assert until(lambda: [state for state, _ in states_of(progress)] == ["building", "stopped"])
    builder.ask(tmp_path, "a", builder.STOP)
    assert until(lambda: [state for state, _ in states_of(progress)] == ["stopped", "stopped"])
    assert builder.asked(tmp_path, builder.STOP) == [] and not began.exists()
    builder.ask(tmp_path, "b")
    assert until(lambda: began.exists() and ("done", "") in states_of(progress))


def test_what_was_asked_for_outlives_the_end_of_the_app(run, tmp_path):
    builder.ask(tmp_path, "a")
    endless = python(report("build, encode", 3, 10), "time.sleep(60)")
    first = Builder(tmp_path, tmp_path / "first.json", (), lambda model, data_dir: endless)
    first.start()
    assert until(lambda: states_of(tmp_path / "first.json") == [("building", "encode")])
    first.stop()
    assert builder.asked(tmp_path) == ["a"]
    builder.ask(tmp_path, "a", builder.STOP)  # of the one that has ended: it concerns no other
    progress = run({"a": python("pass")})
    assert until(lambda: states_of(progress) == [("done", "")]) and builder.asked(tmp_path) == []


def test_a_build_that_the_system_ends_says_so(run, tmp_path):
    progress = run({"a": python("import os", "os.kill(os.getpid(), 9)"), "b": python("sys.exit(3)")}, ["a", "b"])
    assert until(lambda: [state for state, _ in states_of(progress)] == ["failed", "failed"])
    killed, silent = (line for _, line in states_of(progress))
    assert "signal 9" in killed and "goes on" in killed and "status 3" in silent


def test_a_build_that_cannot_be_started_fails_and_the_builder_goes_on(run, tmp_path):
    progress = run({"a": ["/nowhere/at/all"], "b": python("pass")}, ["a", "b"])
    assert until(lambda: [state for state, _ in states_of(progress)] == ["failed", "done"])
    assert "could not be started" in states_of(progress)[0][1]


def test_a_wish_that_cannot_be_written_down_is_refused_in_words(tmp_path):
    (tmp_path / "builds").write_text("in the way")
    with pytest.raises(BuildError, match="a cannot be built here.*--data-dir"):
        builder.ask(tmp_path, "a")


@pytest.mark.timeout(240)
def test_a_model_is_built_when_somebody_asks_and_not_a_second_time(tmp_path):
    prepare_images(tmp_path, codes=(8,))
    progress = tmp_path / "progress.json"
    at_work = Builder(tmp_path, progress)
    at_work.start()
    try:
        builder.ask(tmp_path, IMAGES)
        shares = []

        def is_done():
            entries = builder.read_progress(progress)
            shares.extend(entry["share"] for entry in entries if entry["share"] is not None)
            return [entry["state"] for entry in entries] == ["done"]

        assert until(is_done, 120), builder.read_progress(progress)
        assert shares == sorted(shares) and shares[-1] == 1
        explorer = Explorer(tmp_path)
        build = explorer.build(IMAGES)
        assert builder.is_built(explorer, IMAGES) and not builder.asked_file(tmp_path, IMAGES).exists()
        builder.ask(tmp_path, IMAGES)
        assert until(lambda: builder.asked(tmp_path) == [])
        assert [entry["state"] for entry in builder.read_progress(progress)] == ["done"]
        assert explorer.build(IMAGES) == build
    finally:
        at_work.stop()


@pytest.mark.timeout(240)
def test_a_build_that_is_killed_goes_on_from_its_finished_shards(tmp_path):
    prepare_images(tmp_path, codes=(8,))
    process = subprocess.Popen(
        [*builder.command(IMAGES, tmp_path)], cwd=ROOT, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True
    )
    assert process.stderr is not None
    for line in process.stderr:
        if "tables" in line:  # all items are encoded
            process.send_signal(signal.SIGKILL)
            break
    process.communicate()
    manifest = tmp_path / "builds" / f"{IMAGES}.partial" / "manifest.json"
    shards = {
        file["name"]: file["sha256"] for s in json.loads(manifest.read_text())["shards"] for file in s["files"].values()
    }
    before = {name: (manifest.parent / name).stat().st_mtime_ns for name in shards}
    assert shards
    progress = tmp_path / "progress.json"
    builder.ask(tmp_path, IMAGES)
    at_work = Builder(tmp_path, progress, (), _until_tables)
    at_work.start()
    try:
        assert until(lambda: [state for state, _ in states_of(progress)] == ["failed"], 120)
        assert {name: (manifest.parent / name).stat().st_mtime_ns for name in shards} == before
    finally:
        at_work.stop()


def _until_tables(model: str, data_dir: Path) -> list[str]:
    """The real build, ended when it has come to its tables, so that the shards can still be looked at."""
    code = (
        "import os, signal, sys; from pathlib import Path; from backend.build.precompute import build\n"
        "def tell(stage, done, total):\n"
        "    if stage == 'tables': os.kill(os.getpid(), signal.SIGKILL)\n"
        f"build({model!r}, Path({str(data_dir)!r}), progress=tell)"
    )
    return [sys.executable, "-c", code]


def test_the_first_demos_are_planned_and_those_that_are_built_are_left_out(tmp_path):
    shipped = Explorer(tmp_path).models()
    demos = list(shipped[shipped["demo"] > 0].sort_values("demo")["model"])
    assert builder.planned(tmp_path, None) == demos[: builder.FIRST_CARDS] and len(demos) > builder.FIRST_CARDS
    tiny_store.make(tmp_path, model=demos[1])
    assert builder.planned(tmp_path, None) == [demos[0], *demos[2 : builder.FIRST_CARDS]]
    assert builder.planned(tmp_path, ["none"]) == []
    assert builder.planned(tmp_path, [demos[4], demos[1], demos[0], demos[4]]) == [demos[4], demos[0]]


def test_a_demo_that_cannot_be_built_is_refused_with_those_that_can(tmp_path):
    with pytest.raises(UnknownModel, match="no model 'nonsense'.*tokfsm-small"):
        builder.planned(tmp_path, ["nonsense"])
    with pytest.raises(UsageError, match="plain model without codebooks"):
        builder.planned(tmp_path, ["tokfsm-base"])
    with pytest.raises(UsageError, match="either names of models or none"):
        builder.planned(tmp_path, ["tokfsm-small", "none"])
    prepare_images(tmp_path)
    (tmp_path / "checkpoints" / IMAGES).rename(tmp_path / "elsewhere")
    with pytest.raises(CheckpointError, match="missing"):
        builder.planned(tmp_path, [IMAGES])


def test_the_app_says_at_once_that_a_demo_does_not_exist(tmp_path):
    command = [sys.executable, "-m", "app", "--no-browser", "--data-dir", str(tmp_path), "--demo", "nonsense"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, env=os.environ)
    assert done.returncode == 2 and "There is no model 'nonsense'. Known models: " in done.stderr
    assert "Traceback" not in done.stderr


def test_names_of_wishes_are_safe_files_in_the_order_of_asking(tmp_path):
    for name in ("b", "../../a", EVIL):
        builder.ask(tmp_path, name)
        time.sleep(0.01)
    assert builder.asked(tmp_path) == ["b", "../../a", EVIL]
    assert {file.parent for file in tmp_path.rglob("*.build")} == {tmp_path / "builds" / ".asked"}


@pytest.mark.parametrize("written", ["", "nonsense", "{}", '[1, {"state": "done"}]'])
def test_a_progress_file_that_cannot_be_understood_says_nothing(tmp_path, written):
    (tmp_path / "progress.json").write_text(written)
    assert builder.read_progress(tmp_path / "progress.json") == []


def test_how_far_a_build_is_stands_in_words_with_what_is_left():
    entry = {**builder.new_entry("m"), "state": "building", "share": 0.42, "left": 75.0, "line": "encode, 3 of 9"}
    shown = str(building.progress(entry))
    assert "42 %, 1 min 15 s left · encode, 3 of 9" in shown and 'aria-valuenow="42"' in shown
    assert "2 builds come before it" in str(building.progress(builder.new_entry("m"), 2))
    assert [building.duration(s) for s in (0.2, 59.6, 3700)] == ["1 s", "1 min 0 s", "1 h 1 min"]
    line = str(building.summary([entry, builder.new_entry("n")]))
    assert "m 42 %, 1 min 15 s left; 1 more after it" in line and building.summary([]) == ""
