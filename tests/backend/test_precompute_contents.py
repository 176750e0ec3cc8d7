"""What a build refuses to publish, and what it keeps of unusual items."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys

import numpy as np
import pytest

from backend.build.precompute import build
from backend.catalog import ROOT, write_spec
from backend.errors import BadInput, CheckFailed, CheckpointError, UnknownModel, UsageError
from backend.store.files import builds_of
from backend.types import Encoded, ModelSpec
from tests.backend.toy_builds import answers, build_toy
from tests.backend.toy_family import SPEC, ToyFamily


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


def test_a_model_that_contradicts_itself_is_not_published(toy_dir, unbroken):
    published = build_toy(toy_dir, items=5)
    with pytest.raises(CheckFailed, match="encoded again"):
        build_toy(toy_dir, open_family=lambda spec, _: Forgetful(spec))
    assert [build for build, _ in builds_of("toy", toy_dir / "builds")] == [published.build]
    state = json.loads((toy_dir / "builds" / "toy.partial" / "manifest.json").read_text())
    assert state["state"] == "failed"
    assert "encoded again" in state["reason"]
    told = []
    assert answers(build_toy(toy_dir, progress=lambda *step: told.append(step)).store) == unbroken
    assert any("failed its self-check" in stage for stage, _, _ in told)


class Doubling(ToyFamily):
    """Fills two slots of a position with the same code."""

    def encode(self, items, edits=(), *, logits=False, neurons=False) -> Encoded:
        """The first slot's code in the second slot too."""
        encoded = super().encode(items, edits, logits=logits, neurons=neurons)
        codes = encoded.grids["L1.attn.h0"].codes
        codes[:, 1] = codes[:, 0]
        return encoded


def test_a_code_in_two_slots_of_one_position_is_not_published(toy_dir):
    with pytest.raises(CheckFailed, match="same position"):
        build_toy(toy_dir, open_family=lambda spec, _: Doubling(spec))


def test_a_truncated_checkpoint_leaves_the_published_build(toy_dir):
    published = build_toy(toy_dir, items=5)

    def truncated(spec, folder):
        raise CheckpointError("model.safetensors is cut short")

    with pytest.raises(CheckpointError, match="cut short"):
        build_toy(toy_dir, open_family=truncated)
    shutil.rmtree(toy_dir / "checkpoints" / "toy")
    with pytest.raises(CheckpointError, match="missing"):
        build_toy(toy_dir)
    assert published.store.is_file()


def test_a_broken_model_card_is_a_checkpoint_error(toy_dir):
    (toy_dir / "checkpoints" / "toy" / "card.json").write_text('{"metrics": {"lm_loss": {"value": "high"}}}')
    with pytest.raises(CheckpointError, match="card"):
        build_toy(toy_dir)


def test_nonsense_is_refused(toy_dir):
    with pytest.raises(BadInput):
        build_toy(toy_dir, items=0)
    with pytest.raises(UsageError, match="local"):
        build_toy(toy_dir, engine="abacus")
    with pytest.raises(UnknownModel):
        build("nobody", toy_dir)


class Bare(ToyFamily):
    """A base model: items, but no codebooks."""

    def __init__(self, spec: ModelSpec) -> None:
        """Drop the codebooks."""
        super().__init__(spec)
        self.infos = []


def test_a_model_without_codebooks_is_refused_with_a_way_on_and_leaves_nothing(toy_dir):
    with pytest.raises(BadInput, match="'toy' has no codebooks.*train text --from toy"):
        build_toy(toy_dir, open_family=lambda spec, _: Bare(spec))
    assert not [path for path in (toy_dir / "builds").iterdir() if path.name.startswith("toy")]


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


def test_text_that_is_no_unicode_is_stored_marked_and_counted(toy_dir):
    told = []
    report = build_toy(
        toy_dir, open_family=lambda spec, _: Surrogates(spec), progress=lambda *step: told.append(step[0])
    )
    found = answers(report.store)
    assert all(row[5].startswith("\ufffd") for row in found["items"])
    assert ("replaced_characters", "60") in found["facts"]
    assert any("60 characters" in stage for stage in told)


def test_null_characters_markup_and_emoji_survive(toy_dir):
    found = answers(build_toy(toy_dir).store)
    items = ToyFamily(SPEC).items(0, 60, 0)
    assert [row[5] for row in found["items"]] == [item.text for item in items]
    assert [row[6] for row in found["tokens"]] == [item.text[a:b] for item in items for a, b in item.spans]
    assert any("\0" in row[6] for row in found["tokens"])


def test_memory_does_not_grow_with_the_number_of_items(toy_dir):
    code = (
        "import resource, sys; from pathlib import Path; from tests.backend.toy_builds import build_toy\n"
        "from backend.build.precompute import Limits; limits = Limits(512, 200_000, 200)\n"
        "build_toy(Path(sys.argv[1]), items=20, limits=limits)\n"
        "small = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "build_toy(Path(sys.argv[1]), items=2000, limits=limits)\n"
        "large = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "print((large - small) / 1024)"
    )
    spent = subprocess.run([sys.executable, "-c", code, str(toy_dir)], cwd=ROOT, capture_output=True, text=True)
    assert float(spent.stdout) < 150, spent.stderr


def test_an_image_item_keeps_its_shape_and_takes_its_entropy_over_labels(toy_dir):
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

    write_spec(ModelSpec("toy", "toy", "image", "Toy", {"name": "toy", "items": 12}, "checkpoints/toy"), toy_dir)
    report = build_toy(toy_dir, open_family=lambda spec, _: Pictures(spec))
    assert "regex" not in report.checks
    found = answers(report.store)
    assert {tuple(row[3]) for row in found["items"]} == {(4, 4)}
    entropies = [row[5] for row in found["codes"] if row[2]]
    assert 0 <= min(entropies) and max(entropies) <= 1  # of two values
    assert max(entropies) > 0.5


def test_a_data_set_that_ends_is_taken_whole_and_the_build_says_how_much_there_was(toy_dir):
    class Ending(ToyFamily):
        def items(self, start, stop, seed):
            return super().items(start, min(stop, 23), seed)

    told = []
    report = build_toy(
        toy_dir, items=50, open_family=lambda spec, _: Ending(spec), progress=lambda *step: told.append(step)
    )
    assert report.items == 23
    assert ("the data set has 23 items: all are taken", 0, 0) in told

    class Empty(ToyFamily):
        def items(self, start, stop, seed):
            return []

    with pytest.raises(BadInput, match="no items"):
        build_toy(toy_dir, open_family=lambda spec, _: Empty(spec))
