"""The model card: one reader, one writer, and what happens to the parts of a card that is damaged."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import pytest

from backend.catalog.cards import CARD, Card, read_card, renew_card, write_card
from backend.errors import CheckpointError
from backend.types import Metric

METRIC = asdict(Metric(1.5, 1.0, 2.0, 10, 3, "a number"))
EDITS = {"topic=sea": ("L0.mlp:3:+0.2@generated:9", "L1.mlp:4")}
WHOLE = Card({"lm_loss": METRIC}, {"seed": 1, "curve": [{"step": 1, "error": 0.5}]}, EDITS, {"note": "by hand"})


def test_a_card_is_read_as_it_was_written(tmp_path: Path) -> None:
    assert read_card(tmp_path) == Card()
    write_card(tmp_path, WHOLE)
    assert read_card(tmp_path) == WHOLE
    assert read_card(tmp_path).curve == [{"step": 1.0, "error": 0.5}]
    data = json.loads((tmp_path / CARD).read_text())
    assert data["edits"] == {"topic=sea": ["L0.mlp:3:+0.2@generated:9", "L1.mlp:4"]} and data["note"] == "by hand"


def test_a_card_without_edits_does_not_speak_of_them(tmp_path: Path) -> None:
    write_card(tmp_path, Card(training={"seed": 1}))
    assert json.loads((tmp_path / CARD).read_text()) == {"metrics": {}, "training": {"seed": 1}}


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "[]",
        "[" * 100_000,
        "\udcff",
        '{"metrics": []}',
        '{"metrics": {"lm_loss": 3}}',
        '{"metrics": {"lm_loss": {"value": "high"}}}',
        '{"training": "long"}',
        '{"training": {"curve": [{"step": "x"}]}}',
        '{"training": {"curve": 3}}',
        '{"edits": {"topic=sea": "L0.mlp:1"}}',
        '{"edits": {"topic=sea": ["#"]}}',
        '{"edits": {"topic=sea": [3]}}',
        '{"edits": ["L0.mlp:1"]}',
    ],
)
def test_a_damaged_card_is_named_with_what_to_do(text: str, tmp_path: Path) -> None:
    (tmp_path / CARD).write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(CheckpointError, match=r"card\.json.*--write-card"):
        read_card(tmp_path)


def test_new_figures_take_the_place_of_the_old_ones_and_nothing_else_is_lost(tmp_path: Path) -> None:
    write_card(tmp_path, WHOLE)
    renew_card(tmp_path, {"psnr": METRIC})
    assert read_card(tmp_path) == Card({"psnr": METRIC}, WHOLE.training, EDITS, WHOLE.other)
    renew_card(tmp_path, {"psnr": METRIC}, {})
    assert read_card(tmp_path) == Card({"psnr": METRIC}, WHOLE.training, {}, WHOLE.other)


def test_what_can_be_read_of_a_damaged_card_outlives_new_figures(tmp_path: Path) -> None:
    edits = '{"topic=sea": ["L1.mlp:4"]}'
    for damaged, training, kept in (
        (f'{{"metrics": {{"a": 1}}, "training": {{"seed": 2}}, "edits": {edits}}}', {"seed": 2}, ("L1.mlp:4",)),
        ('{"metrics": {}, "training": {"seed": 2}, "edits": {"topic=sea": "all"}}', {"seed": 2}, None),
        ("nonsense", {}, None),
    ):
        (tmp_path / CARD).write_text(damaged)
        renew_card(tmp_path, {"lm_loss": METRIC})
        assert read_card(tmp_path) == Card({"lm_loss": METRIC}, training, {"topic=sea": kept} if kept else {})


def test_a_card_says_whether_a_model_was_trained_with_given_settings() -> None:
    assert WHOLE.trained_as({"seed": 1}) == WHOLE.training
    assert WHOLE.trained_as({"seed": 2}) is None and WHOLE.trained_as({"seed": 1, "half": True}) is None
    assert Card().trained_as({"seed": 1}) is None
