"""A data set is a module and a line: what the registry knows, a toy that is only in it, and no name of one anywhere else."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
import torch

from backend.build.precompute import build
from backend.catalog import write_spec
from backend.catalog.cards import Card
from backend.data.datasets import SOURCES, open_corpus, open_dataset, open_images, open_text, source_of, sources
from backend.data.texts.corpus import TextItems
from backend.errors import BadInput, CatalogError
from backend.explorer import Explorer
from backend.families import open_family
from backend.families.transformer.checkpoint import save_checkpoint, tokenizer_in
from backend.families.transformer.conditions import Goal
from backend.families.transformer.measure_concepts import concepts
from backend.families.transformer.training.batches import batches_of
from backend.families.transformer.training.codebooks import Recipe, Run
from backend.families.transformer.training.runs import train_base, train_codebooks
from backend.families.transformer.training.shapes import Shape
from backend.families.transformer.training.tokenizing import make_tokenizer
from backend.nn.insertion.placement import Placement
from backend.types import ModelSpec
from tests.backend import toy_data

ROOT = Path(__file__).resolve().parents[2]


# -- the registry ----------------------------------------------------------------------------------------------------


def test_every_source_is_called_as_the_registry_calls_it_and_says_what_it_is() -> None:
    for name in SOURCES:
        source = source_of(name)
        assert source.name == name and source.about and source.title and source.item in ("text", "image")
        assert (source.judge is None) == (source.trial is None)
        dests = [option.dest for option in source.options]
        assert len(set(dests)) == len(dests) and all(option.flags[0].startswith("--") for option in source.options)


def test_a_data_set_of_another_kind_of_items_is_refused() -> None:
    with pytest.raises(CatalogError, match="no text data set 'scenes'. Known: tokfsm, tokens, stories"):
        open_text({"name": "scenes"}, Path())
    with pytest.raises(CatalogError, match="no image data set 'stories'"):
        open_images({"name": "stories"}, Path())
    with pytest.raises(CatalogError, match="has no documents. Those that have: stories"):
        open_corpus({"name": "scenes"})


def test_what_trial_and_judge_say_goes_together() -> None:
    judged = [source for source in sources() if source.trial is not None]
    assert [source.name for source in judged] == ["stories", "python-source"]
    for source in judged:
        assert source.trial is not None
        for behaviour in source.trial.behaviours:
            assert behaviour.value in source.judged[behaviour.field]
            assert source.behaviour(*behaviour.truth) == source.behaviour(behaviour.field, behaviour.value) == behaviour


def test_what_a_person_gives_becomes_the_whole_dataset(tmp_path: Path) -> None:
    machine = source_of("tokfsm").settings({"states": 25, "edges": 4})
    assert machine == {"name": "tokfsm", "states": 25, "edges": 4, "base": 10, "seed": 42, "length": 128}
    assert source_of("tokfsm").prefix(machine) == "tokfsm-n25-e4"
    assert source_of("tokfsm").subject(machine) == "Finite-state machine of 25 states, 4 edges"
    assert source_of("tokfsm").capabilities == {"states"}
    with pytest.raises(BadInput, match="1 states"):
        source_of("tokfsm").settings({"states": 1})
    assert source_of("python-source").prefix({}) == "python"
    assert source_of("mixture").settings({"size": 16})["parts"][0] == {"name": "scenes", "share": 0.7}
    assert open_images(source_of("mixture").settings({"size": 16}), tmp_path).pixels(0, 2, 0).shape == (2, 3, 16, 16)
    (tmp_path / "a.txt").write_text("one")
    text = source_of("text").settings({"path": str(tmp_path / "x" / ".." / "a.txt")})
    assert text == {"name": "text", "length": 256, "path": str(tmp_path / "a.txt")}
    assert source_of("text").subject(text) == "Text of a.txt"
    assert source_of("text").settings({"path": "hf:owner/name", "length": 9})["path"] == "hf:owner/name"
    for name, message in (("text", "Which text"), ("folder", "no file or folder")):
        with pytest.raises(BadInput, match=message):
            source_of(name).settings({"path": ""})
        with pytest.raises(BadInput, match="There is no file or folder"):
            source_of(name).settings({"path": str(tmp_path / "gone")})


@pytest.mark.parametrize("name", ["tokens", "scenes"])
def test_a_data_set_writes_the_settings_it_is_made_from(name: str) -> None:
    data = open_dataset({"tokens": {"name": name, "vocabulary": 7}, "scenes": {"name": name, "size": 16}}[name], Path())
    assert data.settings["name"] == name and open_dataset(data.settings, Path()) == data


# -- the toy ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def toy(monkeypatch: pytest.MonkeyPatch) -> None:
    """The one line."""
    monkeypatch.setitem(SOURCES, toy_data.NAME, "tests.backend.toy_data")


def test_one_line_makes_a_data_set_that_opens_is_judged_trained_on_built_and_searched(
    toy: None, tmp_path: Path
) -> None:
    torch.set_num_threads(1)
    source = source_of(toy_data.NAME)
    assert source in sources("text")
    settings = source.settings({"length": 48})
    assert (
        settings == {"name": toy_data.NAME, "days": 4, "length": 48} and source.subject(settings) == "Weather of 4 days"
    )
    work = tmp_path / "work"
    make_tokenizer(settings, 300, work, lambda what, done, total: None)
    data = open_dataset(settings, work)
    assert isinstance(data, TextItems) and {item.tags["weather"] for item in data.items(0, 20, 0)} == {*toy_data.SKIES}

    succeeds = Goal(topic=("weather", "rain")).test(source)
    assert succeeds("day of rain .") and not succeeds("day of sun .")
    with pytest.raises(BadInput, match="weather=sun, weather=rain, weather=snow"):
        Goal(topic=("weather", "hail")).test(source)
    items = data.items(0, 60, 0)
    half = np.repeat(np.arange(len(items)) % 2, [item.positions for item in items])
    assert r"day (\d)" in concepts(items, half, source.concepts) and r"day (\d)" not in concepts(items, half, ())

    shape = Shape("gpt_neox", layers=1, dim=16, heads=2, mlp=32).config(data.vocabulary, 48, data.bos)
    recipe = Recipe(steps=3, batch=4, lr=1e-3, save_every=0)
    run = Run(device="cpu")
    base = train_base(shape, batches_of(data, 48), recipe, run)
    save_checkpoint(base, tmp_path / "checkpoints" / "toy-base", Card(), tokenizer_in(work))
    places = (Placement("mlp", codes=16),)
    model = train_codebooks(tmp_path / "checkpoints" / "toy-base", batches_of(data, 48), places, recipe, "data", run)
    save_checkpoint(model, tmp_path / "checkpoints" / "toy", Card(), tokenizer_in(work))
    for name, below in (("toy-base", ""), ("toy", "toy-base")):
        spec = ModelSpec(name, "transformer", "text", name, settings, f"checkpoints/{name}", base=below)
        write_spec(spec, tmp_path)
    family = open_family(spec, tmp_path)
    assert {"forecast", "steer"} <= family.capabilities and "states" not in family.capabilities
    shown = family.items(0, 9, 0)
    assert [succeeds(item.text) for item in shown] == [item.tags["weather"] == "rain" for item in shown]
    build("toy", tmp_path, items=24, projection="pca")
    explorer = Explorer(tmp_path)
    assert set(explorer.label_fields("toy")["field"]) == {"sky"}
    assert explorer.search("toy", "", field="item:weather", value="rain", min_support=1).matches > 0


# -- no name outside its room ----------------------------------------------------------------------------------------

REGISTRY = "backend/data/datasets.py"
ALIKE = {"text", "tokens", "digits", "folder"}  # words that mean other things too
COMPOSED = {"backend/data/images/mixture.py": {"scenes", "photos"}}  # a data set that is made of others
SETTINGS_OF_TABLES = re.compile(r"backend/families/\w+/tables\.py")  # what `reproduce` trains, as catalog files say it


def names_in(tree: ast.AST) -> Iterator[str]:
    """Names of data sets that a file writes as strings: of those that mean nothing else all, of others where it is sure."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and node.value in SOURCES.keys() - ALIKE:
            yield str(node.value)
        elif isinstance(node, ast.Dict):
            pairs = zip(node.keys, node.values, strict=True)
            named = [value for key, value in pairs if isinstance(key, ast.Constant) and key.value == "name"]
            yield from (str(value.value) for value in named if isinstance(value, ast.Constant) and value.value in ALIKE)
        elif isinstance(node, ast.Compare):
            sides = [node.left, *node.comparators]
            if any(re.search(r"data_?set|recipe|source|\['name'\]", ast.unparse(side)) for side in sides):
                inside = [part for side in sides for part in ast.walk(side) if isinstance(part, ast.Constant)]
                yield from (str(part.value) for part in inside if part.value in ALIKE)


def in_its_room(file: str, name: str) -> bool:
    """Whether a file belongs to the data set: its module, those that begin with its name, or all of a package of its own."""
    module = Path(SOURCES[name].replace(".", "/"))
    shared = module.parent.name in ("data", "texts", "images")
    return Path(file).parent == module.parent and (not shared or Path(file).stem.startswith(module.name))


def test_no_name_of_a_data_set_stands_outside_its_room_and_the_registry() -> None:
    files = [p for top in ("backend", "app", "pages") for p in sorted((ROOT / top).rglob("*.py"))]
    assert len(files) > 100
    found = []
    for path in files:
        file = path.relative_to(ROOT).as_posix()
        if file == REGISTRY or SETTINGS_OF_TABLES.fullmatch(file):
            continue
        for name in names_in(ast.parse(path.read_text(encoding="utf-8"))):
            if not in_its_room(file, name) and name not in COMPOSED.get(file, ()):
                found.append((file, name))
    assert found == []


def test_a_name_that_is_asked_for_somewhere_would_be_seen() -> None:
    asked = (
        'if spec.dataset["name"] == "text": ...\nif recipe in ("digits",): ...\nx = {"name": "tokens"}\ny = "stories"'
    )
    assert sorted(names_in(ast.parse(asked))) == ["digits", "stories", "text", "tokens"]
    fine = 'if spec.kind == "text": ...\nx = {"text": 1}\n"""The data set of stories."""'
    assert list(names_in(ast.parse(fine))) == []
    assert in_its_room("backend/data/texts/python_source_judging.py", "python-source")
    assert in_its_room("backend/data/stories/words.py", "stories") and not in_its_room("backend/data/tags.py", "tokfsm")


def test_modules_of_data_sets_are_there() -> None:
    for module in SOURCES.values():
        assert import_module(module).SOURCE.open is not None
