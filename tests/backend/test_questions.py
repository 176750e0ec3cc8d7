"""A question is a function and one line: name, signature and docstring are the function's, whoever asks."""

from __future__ import annotations

import inspect
import pydoc
import re
from pathlib import Path

import pytest

from backend.explorer import Explorer, recording
from backend.questions import search
from tests.backend import tiny_store
from tests.backend.tiny_store import MODEL

ROOT = Path(__file__).resolve().parents[2]
QUESTIONS = {name: question for name, question in vars(Explorer).items() if hasattr(question, "kept")}


def test_every_question_has_the_name_under_which_it_stands_and_a_docstring() -> None:
    assert len(QUESTIONS) > 40
    for name, question in QUESTIONS.items():
        assert question.__name__ == name and inspect.getdoc(question), name
        assert "reader" not in inspect.signature(question).parameters, name
        assert "archive" not in inspect.signature(question).parameters, name
        assert question.kept in ("by build", "for moments", "never") and question.shown in (True, False), name


def test_help_shows_the_function_s_own_words_with_the_model_in_place_of_its_reader() -> None:
    shown = pydoc.plain(pydoc.render_doc(Explorer.search))
    assert "search(self, model: 'str', pattern: 'str', *" in shown and "model: its name." in shown
    assert "reader:" not in shown and "RE2 expression" in shown
    own = inspect.signature(search.search).parameters
    asked = inspect.signature(Explorer.search).parameters
    assert list(asked)[2:] == list(own)[1:] and asked["min_support"] == own["min_support"]
    shown = pydoc.plain(pydoc.render_doc(Explorer.examples))
    assert "examples(self, ref: 'CodeRef', how: 'How' = 'top'" in shown and "ref: the code." in shown


def test_everything_may_be_given_by_name_and_is_recorded_so(tmp_path) -> None:
    truth = tiny_store.make(tmp_path)
    explorer = Explorer(tmp_path)
    ref = truth.ref("L0.mlp", 11)
    with recording() as calls:
        by_name = explorer.neighbours(ref=ref, n=2)
        assert by_name.equals(explorer.neighbours(ref, 2))
        explorer.code(ref=ref)
        explorer.codes(model=MODEL, site="L0.mlp")
    assert [dict(call.arguments) for call in calls] == [
        {"ref": ref, "n": 2},
        {"ref": ref, "n": 2},
        {"ref": ref},
        {"model": MODEL, "site": "L0.mlp"},
    ]
    with pytest.raises(TypeError, match="unexpected keyword"):
        explorer.codes(MODEL, "L0.mlp", place="mlp")


def test_no_two_caches_of_a_build_have_the_same_name() -> None:
    """Two files once kept different things under one name: whoever came second was handed the other's."""
    names: dict[str, set[str]] = {}
    for path in sorted((ROOT / "backend").rglob("*.py")):
        for name in re.findall(r'\(reader\.path, "([\w ]+)"', path.read_text(encoding="utf-8")):
            names.setdefault(name, set()).add(path.name)
    assert len(names) > 10
    assert {name: files for name, files in names.items() if len(files) > 1} == {}


def test_tags_are_read_by_items_and_by_values_in_any_order(tmp_path) -> None:
    truth = tiny_store.make(tmp_path)
    for first in ("tag_fields", "passage_codes"):
        explorer = Explorer(tmp_path)
        for name in dict.fromkeys((first, "tag_fields", "passage_codes")):
            answer = explorer.tag_fields(MODEL) if name == "tag_fields" else explorer.passage_codes(MODEL, 3)
            assert len(answer)
        assert explorer.covered_passages(truth.ref("L0.mlp", 0)).table["tags"].tolist()[0] == {"n": "1"}


def test_a_store_that_was_built_before_is_read_and_what_people_said_of_it_is_kept(tmp_path) -> None:
    """Version 2 of the store is what was published first; new questions find all they need in it."""
    truth = tiny_store.make(tmp_path, items=100, version=2)
    people = Explorer(tmp_path).people
    label = people.add_label(truth.ref("L0.mlp", 11), "says der", "Ada", build=tiny_store.BUILD)
    explorer = Explorer(tmp_path)
    look = explorer.first_look(MODEL)
    assert explorer.codebooks(MODEL)["site"].tolist().count(look.site) == 1
    assert len(explorer.code_names(MODEL, look.site)) and explorer.describe(truth.ref("L0.mlp", 11)) is not None
    assert explorer.find("says der").iloc[0]["code"] == 11
    tiny_store.make(tmp_path, build="20260601T000000-0123abcd", items=120)
    assert explorer.build(MODEL).startswith("20260601")
    assert explorer.people.labels() == [label] and explorer.find("says der").iloc[0]["code"] == 11
    assert explorer.code(truth.ref("L0.mlp", 11)).label == "says der"
