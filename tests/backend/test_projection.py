"""Maps: what UMAP must keep, the process that draws them, and what happens to a build without it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import duckdb
import numpy as np
import pytest

from backend.analysis.projection import _nearest
from backend.build import derived, map_process
from backend.build.map_process import MapProcess
from backend.catalog import ROOT
from backend.errors import BuildError
from tests.backend.toy_builds import answers, build_toy
from tests.backend.toy_family import prepare

FIRST_MAP = 100  # seconds; import and compilation take some 15 on an idle machine


@pytest.fixture(scope="module")
def maps():
    """A child process that all tests share: it compiles once."""
    with MapProcess() as process:
        yield process


def clusters(n: int = 400, noise: float = 0.5) -> tuple[np.ndarray, np.ndarray]:
    """Points around 20 centres, and the centre of each."""
    generator = np.random.default_rng(0)
    cluster = generator.integers(0, 20, n)
    points = generator.normal(size=(20, 32))[cluster] + noise * generator.normal(size=(n, 32))
    return points.astype(np.float32), cluster


def alive(pid: int) -> bool:
    """Whether the process runs; a dead one that nobody asked for does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def ends(pid: int, seconds: float = 20) -> bool:
    """Whether the process ends in that time."""
    deadline = time.monotonic() + seconds
    while alive(pid) and time.monotonic() < deadline:
        time.sleep(0.05)
    return not alive(pid)


@pytest.mark.timeout(FIRST_MAP + 60)
@pytest.mark.parametrize("cosine", [True, False])
def test_a_map_keeps_clusters_together_and_is_the_same_every_time(maps, cosine):
    """A random layout keeps 5 %."""
    points, cluster = clusters()
    placed, again = (maps.draw(lambda: points, cosine=cosine).result(FIRST_MAP) for _ in range(2))
    np.testing.assert_array_equal(placed, again)
    away = ((placed[:, None] - placed) ** 2).sum(-1)
    np.fill_diagonal(away, np.inf)
    assert (cluster[away.argsort(axis=1)[:, :5]] == cluster[:, None]).mean() > 0.95


@pytest.mark.timeout(FIRST_MAP + 60)
@pytest.mark.parametrize("cosine", [True, False])
def test_equal_and_nearly_equal_vectors_have_a_place_on_the_map(maps, cosine):
    near = 1000 + 1e-4 * np.random.default_rng(0).normal(size=(50, 8))
    for points in (np.zeros((16, 4)), np.ones((40, 4)), near, np.ones((20, 1))):
        placed = maps.draw(lambda points=points: points, cosine=cosine).result(FIRST_MAP)
        assert placed.shape == (len(points), 2) and np.isfinite(placed).all()


def test_nearest_points_equal_a_full_sort_and_begin_with_the_point_itself():
    points, _ = clusters(100)
    points[7] = points[3]
    near, distances = _nearest(points, 10)
    away = np.linalg.norm(points[:, None].astype(float) - points, axis=-1)
    np.testing.assert_array_equal(near[:, 0], np.arange(100))
    np.testing.assert_allclose(distances, np.sort(away, axis=1)[:, :10], atol=1e-5)
    assert near[7, 1] == 3 and distances[7, 1] == 0


@pytest.mark.timeout(FIRST_MAP + 60)
def test_a_build_draws_umaps_and_otherwise_says_the_same_as_one_that_does_not(tmp_path):
    data_dir = prepare(tmp_path)
    with_umap = build_toy(data_dir, projection="umap").store
    told = answers(with_umap)
    plain = answers(build_toy(data_dir).store)
    with duckdb.connect(str(with_umap), read_only=True) as store:
        found = store.execute("SELECT projection, num_codes FROM codebooks ORDER BY site_id").fetchall()
        x, y, pca_x, pca_y = (
            store.execute("SELECT x, y, pca_x, pca_y FROM codes WHERE site_id = 0 AND count > 0").fetchnumpy().values()
        )
    assert found == [("umap", 40), ("pca", 12)], "12 codes are too few for a UMAP"
    assert np.isfinite([x, y]).all() and not np.allclose(x, pca_x) and not np.allclose(y, pca_y)
    for table in told.keys() - {"codes", "codebooks"}:
        assert told[table] == plain[table], table


def test_a_child_that_dies_leaves_the_pca_and_the_build_says_so(tmp_path, monkeypatch):
    started = []

    class Dying(MapProcess):
        def __init__(self) -> None:
            super().__init__()
            os.kill(self.pid, signal.SIGKILL)
            started.append(self.pid)

    monkeypatch.setattr("backend.build.precompute.MapProcess", Dying)
    told = []
    data_dir = prepare(tmp_path)
    report = build_toy(data_dir, projection="umap", progress=lambda *step: told.append(step))
    assert answers(report.store) == answers(build_toy(data_dir).store)
    assert any("PCA" in stage and "L0.mlp" in stage for stage, _, total in told if total == 0)
    assert len(started) == 1 and not alive(started[0])


def test_too_many_codes_get_the_pca_and_the_build_says_so(tmp_path, monkeypatch):
    monkeypatch.setattr(derived, "UMAP_CODES", (4, 11))
    told = []
    build_toy(prepare(tmp_path), progress=lambda *step: told.append(step[0]))
    assert any(stage.startswith("L0.mlp is shown by PCA") and "more than 11" in stage for stage in told)


def test_closing_ends_the_child_and_fails_what_was_asked_for():
    with MapProcess() as process:
        asked = process.draw(lambda: np.zeros((20, 2)), cosine=False)
    assert not alive(process.pid)
    with pytest.raises(BuildError):
        asked.result(1)
    process.close()


def test_a_child_outlives_no_parent_that_is_killed():
    code = (
        "import sys, time; from backend.build.map_process import MapProcess\n"
        "print(MapProcess().pid, flush=True); time.sleep(600)"
    )
    parent = subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    child = int(parent.stdout.readline())
    try:
        deadline = time.monotonic() + 30
        while os.getpriority(os.PRIO_PROCESS, child) < map_process.NICENESS and time.monotonic() < deadline:
            time.sleep(0.05)
        assert os.getpriority(os.PRIO_PROCESS, child) >= map_process.NICENESS, "others go first"
        assert alive(child)
    finally:
        parent.kill()
        parent.wait()
        parent.stdout.close()
    assert ends(child)
