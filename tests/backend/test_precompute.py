"""A build, whole: what it publishes, what it goes on from, and what stops it."""

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
import numpy as np
import pytest

from backend.catalog import ROOT, write_spec
from backend.errors import BadInput, BuildLocked, CheckFailed, CheckpointError, DiskFull, UnknownModel, UsageError
from backend.precompute import build
from backend.store import SCHEMA_VERSION
from backend.store.files import builds_of, new_build_id
from backend.store.lock import WAITING, locked
from backend.types import Encoded, ModelSpec
from tests.backend.toy_family import LIMITS, SPEC, ToyFamily, open_toy, prepare

VARYING = ("started", "finished", "seconds", "build", "code_version")


def build_toy(data_dir: Path, **options):
    """Build the toy with small shards, and without waiting for UMAP."""
    return build("toy", data_dir, **({"limits": LIMITS, "open_family": open_toy, "projection": "pca"} | options))


def answers(store: Path) -> dict[str, list[tuple]]:
    """Every row of every table in stored order, without the times of the build."""
    with duckdb.connect(str(store), read_only=True) as connection:
        tables = sorted(name for (name,) in connection.execute("SELECT table_name FROM duckdb_tables()").fetchall())
        found = {table: connection.execute(f"SELECT * FROM {table}").fetchall() for table in tables}
    found["facts"] = [row for row in found["facts"] if row[0] not in VARYING]
    return found


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory):
    """The answers of a build that nobody disturbed."""
    return answers(build_toy(prepare(tmp_path_factory.mktemp("unbroken"))).store)


@pytest.fixture
def data_dir(tmp_path):
    """A data directory with the toy, unbuilt."""
    return prepare(tmp_path)


def killed(data_dir: Path, stage: str, done: int) -> None:
    """Build in a process of its own that is killed as soon as `stage` has come to `done`."""
    command = [sys.executable, "-m", "tests.backend.toy_family", str(data_dir), stage, str(done)]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert result.returncode == -signal.SIGKILL, result.stderr


def test_a_build_publishes_one_store_and_leaves_nothing_else(data_dir):
    report = build_toy(data_dir)
    assert [path.name for path in (data_dir / "builds").iterdir() if not path.name.startswith(".")] == [
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


def test_two_builds_answer_every_query_the_same(data_dir, unbroken):
    assert answers(build_toy(data_dir).store) == unbroken


@pytest.mark.parametrize(
    ("stage", "done"), [("encode", 4), ("encode", 32), ("tables", 3), ("sort", 1), ("together", 1), ("publish", 0)]
)
def test_a_build_killed_at_any_stage_goes_on_and_answers_the_same(data_dir, unbroken, stage, done):
    killed(data_dir, stage, done)
    assert builds_of("toy", data_dir / "builds") == []
    told = []
    report = build_toy(data_dir, progress=lambda *step: told.append(step))
    assert answers(report.store) == unbroken
    begun = next(count for name, count, total in told if name == "encode" and total)
    assert begun >= (60 if stage not in ("encode",) else done - 16), "finished shards are not made again"


def test_a_build_killed_at_random_moments_goes_on_and_answers_the_same(data_dir, unbroken):
    command = [sys.executable, "-m", "tests.backend.toy_family", str(data_dir), "never", "0"]
    for seconds in (0.9, 1.3):
        process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(seconds)
        process.kill()
        process.wait()
    assert answers(build_toy(data_dir).store) == unbroken


def test_a_broken_shard_is_named_and_made_again(data_dir, unbroken):
    killed(data_dir, "sort", 0)
    shard = sorted((data_dir / "builds" / "toy.partial").glob("shard-*.grid.parquet"))[2]
    data = bytearray(shard.read_bytes())
    data[len(data) // 2] ^= 1
    shard.write_bytes(data)
    told = []
    report = build_toy(data_dir, progress=lambda *step: told.append(step))
    assert [stage for stage, _, total in told if total == 0 and f"items {int(shard.name[6:13])} to" in stage]
    assert answers(report.store) == unbroken


def test_a_partial_build_of_other_items_is_thrown_away_with_a_message(data_dir, unbroken):
    killed(data_dir, "encode", 40)
    told = []
    report = build_toy(data_dir, items=30, progress=lambda *step: told.append(step))
    assert any("starting again" in stage for stage, _, total in told if total == 0)
    assert report.items == 30
    assert answers(report.store)["items"] == unbroken["items"][:30]


def test_a_manifest_cut_short_starts_again(data_dir, unbroken):
    killed(data_dir, "encode", 40)
    manifest = data_dir / "builds" / "toy.partial" / "manifest.json"
    manifest.write_bytes(manifest.read_bytes()[:100])
    assert answers(build_toy(data_dir).store) == unbroken


def test_other_weights_are_another_build(data_dir):
    first = build_toy(data_dir)
    (data_dir / "checkpoints" / "toy" / "model.safetensors").write_bytes(b"other weights")
    second = build_toy(data_dir)
    assert first.build[-8:] != second.build[-8:]
    assert second.build > first.build


def test_the_newest_two_builds_are_kept_and_an_open_reader_keeps_its_file(data_dir):
    first = build_toy(data_dir, items=5)
    reader = duckdb.connect(str(first.store), read_only=True)
    reports = [build_toy(data_dir, items=5) for _ in range(2)]
    assert [build for build, _ in builds_of("toy", data_dir / "builds")] == [report.build for report in reports]
    assert reader.execute("SELECT count(*) FROM items").fetchone() == (5,)


def test_a_store_of_an_older_version_and_a_broken_one_do_not_disturb_a_build(data_dir):
    builds = data_dir / "builds"
    builds.mkdir()
    with duckdb.connect(str(builds / "toy.20200101T000000-00000000.duckdb")) as old:
        old.execute("CREATE TABLE facts (key VARCHAR, value VARCHAR)")
        old.execute("INSERT INTO facts VALUES ('schema_version', '0')")
    report = build_toy(data_dir, items=5)
    assert [path.exists() for _, path in builds_of("toy", builds)] == [True, True]
    assert report.build > "20200101"


def test_a_build_id_sorts_behind_the_last_one_even_if_the_clock_ran_back():
    assert new_build_id("ab" * 32, "29990101T000000-00000000") == "29990101T000001-abababab"


def test_a_second_build_is_refused_and_told_who_is_at_work(data_dir):
    inside, release = threading.Event(), threading.Event()

    def hold(stage, done, total):
        inside.set()
        release.wait(20)

    first = threading.Thread(target=build_toy, args=(data_dir,), kwargs={"progress": hold, "items": 5})
    first.start()
    try:
        assert inside.wait(20)
        with pytest.raises(BuildLocked, match=rf"process {os.getpid()} builds 'toy'"):
            build_toy(data_dir, wait=0.2)
    finally:
        release.set()
        first.join()
    assert build_toy(data_dir, items=5, wait=0.2).items == 5


def test_a_second_build_waits_for_the_first(data_dir):
    reports, said = [], []

    def run():
        told = lambda stage, done, total: said.append((stage, total))  # noqa: E731
        reports.append(build_toy(data_dir, items=5, progress=told))

    thread = threading.Thread(target=run)
    with locked(data_dir / "builds", "novel", 0, lambda *_: None):
        thread.start()
        for _ in range(200):
            if said:
                break
            time.sleep(0.05)
        assert len(said) == 1 and not reports
        assert re.match(rf"{WAITING}: process {os.getpid()} builds 'novel' since 20", said[0][0]) and said[0][1] == 0
    thread.join()
    assert len(reports) == 1


def test_the_lock_of_a_killed_build_is_free(data_dir):
    killed(data_dir, "encode", 4)
    assert build_toy(data_dir, wait=0).items == 60


@pytest.mark.parametrize("limit", [9_000, 700_000], ids=["no room for a shard", "no room for the store"])
def test_a_full_disk_is_named_and_keeps_the_published_build_and_the_shards(data_dir, unbroken, limit):
    published = build_toy(data_dir, items=5)
    code = (
        "import resource, sys; from pathlib import Path\n"
        f"resource.setrlimit(resource.RLIMIT_FSIZE, ({limit}, resource.RLIM_INFINITY))\n"
        "from backend.errors import DiskFull; from tests.backend.test_precompute import build_toy\n"
        "try: build_toy(Path(sys.argv[1]))\n"
        "except DiskFull as error: print('DiskFull', error)"
    )
    result = subprocess.run([sys.executable, "-c", code, str(data_dir)], cwd=ROOT, capture_output=True, text=True)
    assert result.stdout.startswith("DiskFull"), result.stdout + result.stderr
    assert "run it again" in result.stdout
    assert duckdb.connect(str(published.store), read_only=True).execute("FROM items").fetchall()
    left = {path.name for path in (data_dir / "builds" / "toy.partial").iterdir()}
    assert not any("duckdb" in name or name.endswith(".tmp") for name in left)
    assert limit < 100_000 or sum("grid" in name for name in left) == 8
    assert answers(build_toy(data_dir).store) == unbroken


def test_a_full_file_system_is_named(data_dir, unbroken, tmp_path):
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


class Forgetful(ToyFamily):
    """Answers differently the second time."""

    def __init__(self, spec: ModelSpec) -> None:
        """Start with the true answers."""
        super().__init__(spec)
        self.asked = 0

    def encode(self, items, edits=(), *, logits=False, neurons=False) -> Encoded:
        """One more code off, once all items have been seen."""
        self.asked += len(items)
        encoded = super().encode(items, edits, logits=logits, neurons=neurons)
        if self.asked > 61:
            encoded.grids["L0.mlp"].codes[0] = (encoded.grids["L0.mlp"].codes[0] + 1) % 40
        return encoded


def test_a_model_that_contradicts_itself_is_not_published(data_dir, unbroken):
    published = build_toy(data_dir, items=5)
    with pytest.raises(CheckFailed, match="encoded again"):
        build_toy(data_dir, open_family=lambda spec, _: Forgetful(spec))
    assert [build for build, _ in builds_of("toy", data_dir / "builds")] == [published.build]
    state = json.loads((data_dir / "builds" / "toy.partial" / "manifest.json").read_text())
    assert state["state"] == "failed"
    assert "encoded again" in state["reason"]
    told = []
    assert answers(build_toy(data_dir, progress=lambda *step: told.append(step)).store) == unbroken
    assert any("failed its self-check" in stage for stage, _, _ in told)


class Doubling(ToyFamily):
    """Fills two slots of a position with the same code."""

    def encode(self, items, edits=(), *, logits=False, neurons=False) -> Encoded:
        """The first slot's code in the second slot too."""
        encoded = super().encode(items, edits, logits=logits, neurons=neurons)
        codes = encoded.grids["L1.attn.h0"].codes
        codes[:, 1] = codes[:, 0]
        return encoded


def test_a_code_in_two_slots_of_one_position_is_not_published(data_dir):
    with pytest.raises(CheckFailed, match="same position"):
        build_toy(data_dir, open_family=lambda spec, _: Doubling(spec))


def test_a_truncated_checkpoint_leaves_the_published_build(data_dir):
    published = build_toy(data_dir, items=5)

    def truncated(spec, folder):
        raise CheckpointError("model.safetensors is cut short")

    with pytest.raises(CheckpointError, match="cut short"):
        build_toy(data_dir, open_family=truncated)
    shutil.rmtree(data_dir / "checkpoints" / "toy")
    with pytest.raises(CheckpointError, match="missing"):
        build_toy(data_dir)
    assert published.store.is_file()


def test_a_broken_model_card_is_a_checkpoint_error(data_dir):
    (data_dir / "checkpoints" / "toy" / "card.json").write_text('{"metrics": {"lm_loss": {"value": "high"}}}')
    with pytest.raises(CheckpointError, match="card"):
        build_toy(data_dir)


def test_nonsense_is_refused(data_dir):
    with pytest.raises(BadInput):
        build_toy(data_dir, items=0)
    with pytest.raises(UsageError, match="local"):
        build_toy(data_dir, engine="abacus")
    with pytest.raises(UnknownModel):
        build("nobody", data_dir)


class Bare(ToyFamily):
    """A base model: items, but no codebooks."""

    def __init__(self, spec: ModelSpec) -> None:
        """Drop the codebooks."""
        super().__init__(spec)
        self.infos = []


def test_a_model_without_codebooks_is_refused_with_a_way_on_and_leaves_nothing(data_dir):
    with pytest.raises(BadInput, match="'toy' has no codebooks.*train text --from toy"):
        build_toy(data_dir, open_family=lambda spec, _: Bare(spec))
    assert not [path for path in (data_dir / "builds").iterdir() if path.name.startswith("toy")]


class Surrogates(ToyFamily):
    """Texts with half of a character pair, which no file can hold."""

    def items(self, start, stop, seed):
        """The first character of every text replaced."""
        changed = []
        for item in super().items(start, stop, seed):
            labels = {"word": ["\udc80", *item.labels["word"][1:]]}
            changed.append(
                type(item)(item.index, item.shape, item.payload, "\ud83d" + item.text[1:], item.spans, labels)
            )
        return changed


def test_text_that_is_no_unicode_is_stored_marked_and_counted(data_dir):
    told = []
    report = build_toy(
        data_dir, open_family=lambda spec, _: Surrogates(spec), progress=lambda *step: told.append(step[0])
    )
    found = answers(report.store)
    assert all(row[5].startswith("\ufffd") for row in found["items"])
    assert ("replaced_characters", "60") in found["facts"]
    assert any("60 characters" in stage for stage in told)


def test_null_characters_markup_and_emoji_survive(data_dir):
    found = answers(build_toy(data_dir).store)
    items = ToyFamily(SPEC).items(0, 60, 0)
    assert [row[5] for row in found["items"]] == [item.text for item in items]
    assert [row[6] for row in found["tokens"]] == [item.text[a:b] for item in items for a, b in item.spans]
    assert any("\0" in row[6] for row in found["tokens"])


def test_memory_does_not_grow_with_the_number_of_items(data_dir):
    code = (
        "import resource, sys; from pathlib import Path; from tests.backend.test_precompute import build_toy\n"
        "from backend.precompute import Limits; limits = Limits(512, 200_000, 200)\n"
        "build_toy(Path(sys.argv[1]), items=20, limits=limits)\n"
        "small = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "build_toy(Path(sys.argv[1]), items=2000, limits=limits)\n"
        "large = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "print((large - small) / 1024)"
    )
    spent = subprocess.run([sys.executable, "-c", code, str(data_dir)], cwd=ROOT, capture_output=True, text=True)
    assert float(spent.stdout) < 150, spent.stderr


def test_an_image_item_keeps_its_shape_and_takes_its_entropy_over_labels(data_dir):
    class Pictures(ToyFamily):
        def items(self, start, stop, seed):
            made = []
            for item in super().items(start, stop, seed):
                labels = {"part": ["sky", "sea", "", "sea"] * 4}
                ids = np.resize(item.payload, 16)
                made.append(type(item)(item.index, (4, 4), ids.reshape(4, 4), labels=labels, tags={"a": "b"}))
            return made

        def encode(self, items, edits=(), *, logits=False, neurons=False):
            flat = [type(i)(i.index, (16,), i.payload.ravel()) for i in items]
            return super().encode(flat, edits, logits=logits, neurons=neurons)

    write_spec(ModelSpec("toy", "toy", "image", "Toy", {"name": "toy", "items": 12}, "checkpoints/toy"), data_dir)
    report = build_toy(data_dir, open_family=lambda spec, _: Pictures(spec))
    assert "regex" not in report.checks
    found = answers(report.store)
    assert {tuple(row[3]) for row in found["items"]} == {(4, 4)}
    entropies = [row[5] for row in found["codes"] if row[2]]
    assert 0 <= min(entropies) and max(entropies) <= 1  # of two values
    assert max(entropies) > 0.5


def test_a_data_set_that_ends_is_taken_whole_and_the_build_says_how_much_there_was(data_dir):
    class Ending(ToyFamily):
        def items(self, start, stop, seed):
            return super().items(start, min(stop, 23), seed)

    told = []
    report = build_toy(
        data_dir, items=50, open_family=lambda spec, _: Ending(spec), progress=lambda *step: told.append(step)
    )
    assert report.items == 23
    assert ("the data set has 23 items: all are taken", 0, 0) in told

    class Empty(ToyFamily):
        def items(self, start, stop, seed):
            return []

    with pytest.raises(BadInput, match="no items"):
        build_toy(data_dir, open_family=lambda spec, _: Empty(spec))
