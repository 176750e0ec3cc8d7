"""A build's job: it can be sent to another process, which opens the model by itself and makes the same shards."""

from __future__ import annotations

import pickle
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from backend import catalog
from backend.build import precompute
from backend.build.engines import Job, local, open_engine
from backend.build.shards import Shard, is_whole
from backend.families import open_family
from tests.backend.toy_machines import make

SHARDS = [(0, 5), (5, 9)]


@pytest.fixture(scope="module")
def job(tmp_path_factory: pytest.TempPathFactory) -> Job:
    data = tmp_path_factory.mktemp("engines")
    make(data, "gpt2")
    (data / "shards").mkdir()
    return Job(catalog.find("gpt2", data), data, data / "shards", 3, 2, 4)


def shards_of(job: Job, **options: object) -> dict[int, Shard]:
    job.folder.mkdir(exist_ok=True)
    made: dict[int, Shard] = {}
    open_engine("local").make_shards(
        job, SHARDS, lambda shard: made.update({shard.start: shard}), lambda n: None, **options
    )
    return made


def test_a_job_is_the_same_after_it_was_sent_and_makes_the_same_shards_in_another_process(
    job: Job, tmp_path: Path
) -> None:
    sent = replace(job, folder=tmp_path / "there")
    assert pickle.loads(pickle.dumps(sent)) == sent
    (tmp_path / "job").write_bytes(pickle.dumps(sent))
    code = (
        "import pickle, sys; from pathlib import Path; from tests.backend.test_engines import shards_of; "
        "folder = Path(sys.argv[1]); made = shards_of(pickle.loads((folder / 'job').read_bytes())); "
        "(folder / 'made').write_bytes(pickle.dumps(made))"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=True, cwd=catalog.ROOT, timeout=100)
    there = pickle.loads((tmp_path / "made").read_bytes())
    assert there == shards_of(job) and [*there] == [0, 5]
    assert there[0].neuron_positions > 0 == there[5].neuron_positions
    assert all(is_whole(shard, sent.folder) for shard in there.values())


def test_the_local_engine_takes_a_model_that_is_loaded_and_opens_one_where_none_is(
    job: Job, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = []
    monkeypatch.setattr(local, "open_family", lambda *given: (opened.append(given), open_family(*given))[1])
    family = open_family(job.spec, job.data_dir)
    first = shards_of(replace(job, folder=tmp_path / "a"), family=family)
    assert opened == []
    assert shards_of(replace(job, folder=tmp_path / "b")) == first
    assert opened == [(job.spec, job.data_dir)]


def test_a_build_loads_its_model_once(job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    opened = []
    monkeypatch.setattr(
        precompute.families, "open_family", lambda *given: (opened.append(given), open_family(*given))[1]
    )
    monkeypatch.setattr(local, "open_family", lambda *given: pytest.fail("the engine opened the model again"))
    report = precompute.build("gpt2", job.data_dir, items=9, projection="pca")
    assert report.items == 9 and len(opened) == 1
