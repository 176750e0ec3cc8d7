"""Steering measured with the edits that a shipped model's card holds: nothing is looked for, and all is counted."""

from __future__ import annotations

import dataclasses

import pytest

from backend import catalog
from backend.analysis.measures import Measures
from backend.catalog.cards import read_card
from backend.errors import UnknownCode
from backend.explorer import Explorer
from backend.families import open_live
from backend.families.transformer.live import LiveModel
from backend.families.transformer.measure_steering import SteeringMeasures

MODEL = "stories-mlp"
DATA = catalog.DEFAULT_DATA_DIR


@pytest.fixture(scope="module")
def live() -> LiveModel:
    return open_live(catalog.find(MODEL, DATA), DATA)


def test_edits_of_the_card_are_measured_as_they_are(live: LiveModel, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("backend.families.transformer.measure_steering.SAMPLES", 20)
    known = Explorer(DATA).measured_edits(MODEL)
    trials = SteeringMeasures(live, 2, known)
    assert {f"{b.field}={b.value}": tuple(map(str, e)) for b, e in trials.edits.items()} == known
    trials.trial = dataclasses.replace(trials.trial, behaviours=trials.trial.behaviours[:2], new_tokens=60)
    measures = Measures()
    for seed in range(2):
        trials.measure(measures, seed)
    found = measures.metrics()
    assert found["topic_steered"].value > 0.7 > 0.3 > found["topic_random_code"].value
    assert found["topic_steered"].n == 2 * 10 and found["topic_steered.dragon"].n == 10
    assert 0 < found["steered_perplexity_ratio"].value < 4


def test_edits_of_another_models_codes_are_refused(live: LiveModel) -> None:
    known = {**Explorer(DATA).measured_edits(MODEL), "topic=dragon": ("L0.mlp:99999:+0.1@generated",)}
    with pytest.raises(UnknownCode, match="codes 0 to 2047"):
        SteeringMeasures(live, 1, known)


@pytest.mark.parametrize("model", ["stories-mlp", "python-mlp"])
def test_the_card_of_a_shipped_model_is_that_of_its_codebooks(model: str) -> None:
    spec = catalog.find(model, DATA)
    placements = open_live(spec, DATA).family.model.placements
    said = read_card(catalog.checkpoint_folder(spec, DATA)).training["placements"]
    assert [(p["place"], p["codes"], p["k"], tuple(p["layers"])) for p in said] == [
        (p.place, p.codes, p.k, tuple(p.layers)) for p in placements
    ]
