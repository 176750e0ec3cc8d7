"""A build's progress is told of the whole: it only grows, ends at the whole, and knows every stage."""

from __future__ import annotations

import json

import pytest

from backend.build.stages import PARTS, WEIGHTS, Whole
from tests.backend.commands import process
from tests.backend.toy_builds import build_toy
from tests.pages.image_models import prepare_images


def heard(build, **options):
    """Everything that a build of the toy says of its progress, and the same of the whole."""
    stages: list[tuple[str, int, int]] = []
    whole: list[tuple[str, int, int]] = []
    told = Whole(lambda *said: whole.append(said))

    def tell(*said):
        stages.append(said)
        told(*said)

    build(progress=tell, **options)
    return stages, whole


def test_the_whole_of_a_build_grows_to_its_end_and_every_stage_has_its_part(toy_dir):
    stages, whole = heard(lambda **options: build_toy(toy_dir, **options))
    counted = {stage for stage, _, total in stages if total > 0}
    assert counted == WEIGHTS.keys() - {"verify shards"}
    parts = [done for _, done, total in whole if total == PARTS]
    assert len(parts) == len(whole) and parts == sorted(parts) and parts[-1] == PARTS
    assert len(set(parts)) > 20
    encoded = WEIGHTS["load model"] + WEIGHTS["verify shards"] + WEIGHTS["encode"]
    assert ("build, encode, 60 of 60", round(PARTS * encoded / sum(WEIGHTS.values())), PARTS) in whole


def test_a_build_that_goes_on_from_finished_shards_never_falls_back(toy_dir):
    class Stop(Exception):
        pass

    def stop(stage, done, total):
        if stage == "sort":
            raise Stop

    with pytest.raises(Stop):
        build_toy(toy_dir, progress=stop)
    stages, whole = heard(lambda **options: build_toy(toy_dir, **options))
    assert "verify shards" in {stage for stage, _, _ in stages}
    parts = [done for _, done, _ in whole]
    assert parts == sorted(parts) and parts[-1] == PARTS


def test_messages_and_unknown_stages_are_passed_on_as_they_are():
    said = []
    whole = Whole(lambda *what: said.append(what))
    whole("waiting for another build: process 7", 0, 0)
    whole("something new", 1, 2)
    assert said == [("waiting for another build: process 7", 0, 0), ("something new", 1, 2)]


def test_the_build_command_reports_the_whole_in_lines_of_json(tmp_path):
    prepare_images(tmp_path, codes=(8,))
    command = ("-m", "backend", "build", "glimpse", "--items", "24", "--projection", "pca", "--data-dir", str(tmp_path))
    done = process(*command, "--progress-json")
    reports = [json.loads(line) for line in done.stderr.splitlines()]
    assert done.returncode == 0 and "Built glimpse" in done.stdout
    assert all(report.keys() == {"stage", "done", "total", "left"} for report in reports)
    shares = [report["done"] / report["total"] for report in reports if report["total"]]
    assert shares == sorted(shares) and shares[-1] == 1
    shown = process(*command, "--progress")
    assert f"{PARTS}/{PARTS}  build, publish" in shown.stderr
    failed = process("-m", "backend", "build", "nothing", "--data-dir", str(tmp_path), "--progress-json")
    assert failed.returncode == 2 and "There is no model 'nothing'" in failed.stderr.splitlines()[-1]
