"""A build, whole: what it publishes, what it goes on from, who waits for whom, and a disk that is full."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import duckdb
import pytest

from backend.build.lock import WAITING, locked
from backend.catalog import ROOT
from backend.errors import BuildLocked, DiskFull
from backend.store import SCHEMA_VERSION
from backend.store.files import builds_of, new_build_id
from tests.backend.toy_builds import answers, build_toy
from tests.backend.toy_family import prepare


def killed(toy_dir: Path, stage: str, done: int) -> None:
    """Build in a process of its own that is killed as soon as `stage` has come to `done`."""
    command = [sys.executable, "-m", "tests.backend.toy_family", str(toy_dir), stage, str(done)]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert result.returncode == -signal.SIGKILL, result.stderr


def test_a_build_publishes_one_store_and_leaves_nothing_else(toy_dir):
    report = build_toy(toy_dir)
    assert [path.name for path in (toy_dir / "builds").iterdir() if not path.name.startswith(".")] == [
        f"toy.{report.build}.duckdb"
    ]
    assert report.items == 60
    assert report.positions == 20 * 16 + 20 * 11 + 20 * 16
    assert set(report.checks) == {"counts", "two orders", "encoded again", "labels", "regex"}
    facts = dict(duckdb.connect(str(report.store), read_only=True).execute("FROM facts").fetchall())
    assert json.loads(facts["schema_version"]) == SCHEMA_VERSION
    assert json.loads(facts["activations"]) == report.activations
    assert json.loads(facts["capabilities"]) == ["encode", "neurons"]
    assert json.loads(facts["neuron_positions"]) == 188  # of the 13 items that hold up to 200


def test_two_builds_answer_every_query_the_same(toy_dir, unbroken):
    assert answers(build_toy(toy_dir).store) == unbroken


@pytest.mark.parametrize(
    ("stage", "done"), [("encode", 4), ("encode", 32), ("tables", 3), ("sort", 1), ("together", 1), ("publish", 0)]
)
def test_a_build_killed_at_any_stage_goes_on_and_answers_the_same(toy_dir, unbroken, stage, done):
    killed(toy_dir, stage, done)
    assert builds_of("toy", toy_dir / "builds") == []
    told = []
    report = build_toy(toy_dir, progress=lambda *step: told.append(step))
    assert answers(report.store) == unbroken
    begun = next(count for name, count, total in told if name == "encode" and total)
    assert begun >= (60 if stage not in ("encode",) else done - 16), "finished shards are not made again"


def test_a_build_killed_at_random_moments_goes_on_and_answers_the_same(toy_dir, unbroken):
    command = [sys.executable, "-m", "tests.backend.toy_family", str(toy_dir), "never", "0"]
    for seconds in (0.9, 1.3):
        process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(seconds)
        process.kill()
        process.wait()
    assert answers(build_toy(toy_dir).store) == unbroken


def test_a_broken_shard_is_named_and_made_again(toy_dir, unbroken):
    killed(toy_dir, "sort", 0)
    shard = sorted((toy_dir / "builds" / "toy.partial").glob("shard-*.grid.parquet"))[2]
    data = bytearray(shard.read_bytes())
    data[len(data) // 2] ^= 1
    shard.write_bytes(data)
    told = []
    report = build_toy(toy_dir, progress=lambda *step: told.append(step))
    assert [stage for stage, _, total in told if total == 0 and f"items {int(shard.name[6:13])} to" in stage]
    assert answers(report.store) == unbroken


def test_a_partial_build_of_other_items_is_thrown_away_with_a_message(toy_dir, unbroken):
    killed(toy_dir, "encode", 40)
    told = []
    report = build_toy(toy_dir, items=30, progress=lambda *step: told.append(step))
    assert any("starting again" in stage for stage, _, total in told if total == 0)
    assert report.items == 30
    assert answers(report.store)["items"] == unbroken["items"][:30]


def test_a_manifest_cut_short_starts_again(toy_dir, unbroken):
    killed(toy_dir, "encode", 40)
    manifest = toy_dir / "builds" / "toy.partial" / "manifest.json"
    manifest.write_bytes(manifest.read_bytes()[:100])
    assert answers(build_toy(toy_dir).store) == unbroken


def test_other_weights_are_another_build(toy_dir):
    first = build_toy(toy_dir)
    (toy_dir / "checkpoints" / "toy" / "model.safetensors").write_bytes(b"other weights")
    second = build_toy(toy_dir)
    assert first.build[-8:] != second.build[-8:]
    assert second.build > first.build


def test_the_newest_two_builds_are_kept_and_an_open_reader_keeps_its_file(toy_dir):
    first = build_toy(toy_dir, items=5)
    reader = duckdb.connect(str(first.store), read_only=True)
    reports = [build_toy(toy_dir, items=5) for _ in range(2)]
    assert [build for build, _ in builds_of("toy", toy_dir / "builds")] == [report.build for report in reports]
    assert reader.execute("SELECT count(*) FROM items").fetchone() == (5,)


def test_a_store_of_an_older_version_and_a_broken_one_do_not_disturb_a_build(toy_dir):
    builds = toy_dir / "builds"
    builds.mkdir()
    with duckdb.connect(str(builds / "toy.20200101T000000-00000000.duckdb")) as old:
        old.execute("CREATE TABLE facts (key VARCHAR, value VARCHAR)")
        old.execute("INSERT INTO facts VALUES ('schema_version', '0')")
    report = build_toy(toy_dir, items=5)
    assert [path.exists() for _, path in builds_of("toy", builds)] == [True, True]
    assert report.build > "20200101"


def test_a_build_id_sorts_behind_the_last_one_even_if_the_clock_ran_back():
    assert new_build_id("ab" * 32, "29990101T000000-00000000") == "29990101T000001-abababab"


def test_a_second_build_is_refused_and_told_who_is_at_work(toy_dir):
    inside, release = threading.Event(), threading.Event()

    def hold(stage, done, total):
        inside.set()
        release.wait(20)

    first = threading.Thread(target=build_toy, args=(toy_dir,), kwargs={"progress": hold, "items": 5})
    first.start()
    try:
        assert inside.wait(20)
        with pytest.raises(BuildLocked, match=rf"process {os.getpid()} builds 'toy'"):
            build_toy(toy_dir, wait=0.2)
    finally:
        release.set()
        first.join()
    assert build_toy(toy_dir, items=5, wait=0.2).items == 5


def test_a_second_build_waits_for_the_first(toy_dir):
    reports, said = [], []

    def run():
        told = lambda stage, done, total: said.append((stage, total))  # noqa: E731
        reports.append(build_toy(toy_dir, items=5, progress=told))

    thread = threading.Thread(target=run)
    with locked(toy_dir / "builds", "novel", 0, lambda *_: None):
        thread.start()
        for _ in range(200):
            if said:
                break
            time.sleep(0.05)
        assert len(said) == 1 and not reports
        assert re.match(rf"{WAITING}: process {os.getpid()} builds 'novel' since 20", said[0][0]) and said[0][1] == 0
    thread.join()
    assert len(reports) == 1


def test_the_lock_of_a_killed_build_is_free(toy_dir):
    killed(toy_dir, "encode", 4)
    assert build_toy(toy_dir, wait=0).items == 60


@pytest.mark.parametrize("limit", [9_000, 700_000], ids=["no room for a shard", "no room for the store"])
def test_a_full_disk_is_named_and_keeps_the_published_build_and_the_shards(toy_dir, unbroken, limit):
    published = build_toy(toy_dir, items=5)
    code = (
        "import resource, sys; from pathlib import Path\n"
        f"resource.setrlimit(resource.RLIMIT_FSIZE, ({limit}, resource.RLIM_INFINITY))\n"
        "from backend.errors import DiskFull; from tests.backend.toy_builds import build_toy\n"
        "try: build_toy(Path(sys.argv[1]))\n"
        "except DiskFull as error: print('DiskFull', error)"
    )
    result = subprocess.run([sys.executable, "-c", code, str(toy_dir)], cwd=ROOT, capture_output=True, text=True)
    assert result.stdout.startswith("DiskFull"), result.stdout + result.stderr
    assert "run it again" in result.stdout
    assert duckdb.connect(str(published.store), read_only=True).execute("FROM items").fetchall()
    left = {path.name for path in (toy_dir / "builds" / "toy.partial").iterdir()}
    assert not any("duckdb" in name or name.endswith(".tmp") for name in left)
    assert limit < 100_000 or sum("grid" in name for name in left) == 8
    assert answers(build_toy(toy_dir).store) == unbroken


def test_a_full_file_system_is_named(toy_dir, unbroken, tmp_path):
    small = tmp_path / "small"
    small.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1500k", "tmpfs", str(small)]
    if os.getuid() or not shutil.which("mount") or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("needs the right to mount a small file system")
    try:
        prepare(small)
        with pytest.raises(DiskFull):
            build_toy(small)
        subprocess.run(["mount", "-o", "remount,size=64m", str(small)], check=True)
        assert answers(build_toy(small).store) == unbroken
    finally:
        subprocess.run(["umount", "-l", str(small)], check=True)
