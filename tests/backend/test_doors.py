"""Doors of families: what is behind them is opened by name, each model once, and one sentence says what a family lacks."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from backend import catalog
from backend.data.datasets import source_of
from backend.errors import CatalogError, Unsupported
from backend.explorer import Explorer
from backend.families import FAMILIES, Opener, kind_of, open_family, open_live
from backend.families.kind import DOORS, FamilyKind, Request
from backend.families.transformer import measure_steering
from backend.families.transformer import model as transformer
from backend.jobs.doctor import examine
from backend.jobs.evaluate import evaluate
from backend.types import Family, ModelSpec
from tests.backend.tiny_tokenizer import tiny_family
from tests.backend.toy_machines import MACHINE, make

FAMILY = FamilyKind("text", ("weights",), {"open": f"{__name__}:open_nothing"})  # this file is a family's package, too


def open_nothing(spec: ModelSpec, folder: Path, device: str, other: Any) -> str:
    return f"{spec.name} on {device}"


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("doors")
    make(folder, "gpt2")
    return folder


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the models that were loaded."""
    names: list[str] = []
    load = transformer.open_transformer

    def count(spec: ModelSpec, folder: Path, device: str, other: Any) -> Family:
        names.append(spec.name)
        return load(spec, folder, device, other)

    monkeypatch.setattr(transformer, "open_transformer", count)
    return names


@pytest.mark.parametrize("family", FAMILIES)
def test_every_door_of_a_family_leads_somewhere(family: str) -> None:
    kind = kind_of(family)
    assert {"open"} <= kind.doors.keys() <= DOORS.keys() and kind.name == family
    assert all(kind.door(name) is not None for name in kind.doors)


def test_a_door_that_is_not_there_is_named_in_one_sentence_for_all(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(FAMILIES, "closed", __name__)
    spec = ModelSpec("shut", "closed", "text", "x", MACHINE.settings, "checkpoints/gpt2")
    catalog.write_spec(spec, data)
    try:
        assert open_family(spec, data) == "shut on cpu"
        with pytest.raises(Unsupported, match="^shut cannot be looked at live.*models"):
            Explorer(data).live("shut")
        with pytest.raises(Unsupported, match="^shut cannot be measured.*models"):
            evaluate("shut", data)
        with pytest.raises(Unsupported, match="family 'closed' cannot be reproduced.*models"):
            kind_of("closed").door("tables")
    finally:
        (data / "catalog" / "shut.toml").unlink()


def test_an_unknown_family_and_a_kind_that_is_not_the_familys_are_named_with_the_model(data: Path) -> None:
    strange = ModelSpec("odd", "quantum", "text", "x", MACHINE.settings, "checkpoints/gpt2")
    with pytest.raises(CatalogError, match="'odd'.*'quantum'.*Known: transformer"):
        open_family(strange, data)
    mixed = ModelSpec("mixed", "transformer", "image", "x", MACHINE.settings, "checkpoints/gpt2")
    with pytest.raises(CatalogError, match="'mixed'.*'image'.*'text'"):
        open_live(mixed, data)
    for spec, said in ((strange, "unknown family"), (mixed, "kind = 'image'")):
        path = catalog.write_spec(spec, data)
        checks = {check.name: check for check in examine(data, lambda *_: None)}
        path.unlink()
        assert not checks[f"checkpoint {spec.name}"].ok and said in checks[f"checkpoint {spec.name}"].detail


def test_the_catalog_takes_the_kind_of_a_family_to_come_and_refuses_what_is_no_word(tmp_path: Path) -> None:
    spec = ModelSpec("w", "compression", "weights", "x", {"name": "tokens"}, "checkpoints/w")
    assert catalog.read_spec(catalog.write_spec(spec, tmp_path)) == spec
    odd = catalog.write_spec(ModelSpec("w", "compression", "<b>", "x", {"name": "tokens"}, "checkpoints/w"), tmp_path)
    with pytest.raises(CatalogError, match="kind must be a word"):
        catalog.read_spec(odd)


def test_the_doctor_looks_for_the_files_that_the_family_names(data: Path) -> None:
    file = data / "checkpoints" / "gpt2" / "codebooks.json"
    content = file.read_bytes()
    file.unlink()
    try:
        (check,) = [c for c in examine(data, lambda *_: None) if c.name == "checkpoint gpt2"]
        assert not check.ok and "has no codebooks.json" in check.detail
    finally:
        file.write_bytes(content)


def test_evaluate_loads_the_model_and_its_base_once_each(data: Path, opened: list[str]) -> None:
    found = evaluate("gpt2", data, Request(seeds=2, items=24)).metrics()
    assert sorted(opened) == ["gpt2", "gpt2-base"]
    assert found["lm_loss_above_base"].seeds == 2


def test_evaluate_of_steering_hands_on_what_is_loaded(
    tmp_path: Path, opened: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("backend.families.transformer.measure_steering.SAMPLES", 2)
    known = Explorer(catalog.DEFAULT_DATA_DIR).measured_edits("stories-mlp")
    some = catalog.find("stories-mlp", tmp_path)
    trial = transformer_trial(monkeypatch)
    into = evaluate(some.name, tmp_path, Request(1, 8, edits=known))
    assert sorted(opened) == ["stories-base", "stories-mlp"]
    assert into.edits == {name: known[name] for name in trial} and "topic_steered" in into.metrics()


def transformer_trial(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Two behaviours in place of all, and short samples; returns their names."""
    whole = source_of("stories").trial
    assert whole is not None
    few = dataclasses.replace(whole, behaviours=whole.behaviours[:2], new_tokens=8)
    source = dataclasses.replace(source_of("stories"), trial=few)
    monkeypatch.setattr(measure_steering, "source_of", lambda dataset: source)
    return [f"{behaviour.field}={behaviour.value}" for behaviour in few.behaviours]


def test_a_live_model_loads_its_base_when_it_is_first_needed_and_then_once(data: Path, opened: list[str]) -> None:
    live = Explorer(data).live("gpt2")
    live.lens("01")
    assert opened == ["gpt2"]
    live.perplexity(live.generate("01"))
    live.perplexity(live.generate("02"))
    assert opened == ["gpt2", "gpt2-base"]


def test_people_who_ask_for_the_same_model_at_once_wait_for_one_loading(data: Path, opened: list[str]) -> None:
    other, got = Opener(data), []
    threads = [threading.Thread(target=lambda: got.append(other("gpt2"))) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert opened == ["gpt2"] and len({id(family) for family in got}) == 1 and len(got) == 6


def test_measuring_an_image_tokenizer_goes_through_its_own_door(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    family, said = tiny_family(), []
    monkeypatch.setattr("backend.families.image_tokenizer.model.open_image_tokenizer", lambda *_: family)
    catalog.write_spec(family.spec, tmp_path)
    (tmp_path / family.spec.checkpoint).mkdir(parents=True)
    request = Request(2, 4, progress=lambda *now: said.append(now))
    found = evaluate(family.spec.name, tmp_path, request).metrics()
    assert {"utilization", "psnr", "fold_token_mismatches"} <= found.keys() and found["psnr"].seeds == 2
    assert [now[1:] for now in said] == [(0, 2), (1, 2), (2, 2)]


def test_families_are_known_without_importing_torch() -> None:
    code = "import sys; from backend.families import FAMILIES, kind_of; [*map(kind_of, FAMILIES)]; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=catalog.ROOT)
    assert done.stdout.strip() == "False"
