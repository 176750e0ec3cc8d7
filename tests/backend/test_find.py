"""One search over everything that has a name, in all built models."""

from __future__ import annotations

import time

import duckdb
import pytest

from backend.errors import BadInput
from backend.explorer import Explorer
from backend.types import CodeRef
from tests.backend import tiny_store
from tests.backend.tiny_store import MODEL

OTHER = "other-2"


@pytest.fixture(scope="module")
def explorer(tmp_path_factory: pytest.TempPathFactory) -> Explorer:
    """Two models: in the second somebody called a code, and a word has too few positions for a code to stand for it."""
    folder = tmp_path_factory.mktemp("find")
    tiny_store.make(folder, items=300)
    truth = tiny_store.make(folder, model=OTHER, items=200, seed=1)
    with duckdb.connect(str(truth.path)) as db:
        db.execute("INSERT INTO fields VALUES (2, 'article')")
        there = [[t[0]] for t in truth.tokens if t[5].lower() == "der"]
        db.executemany("INSERT INTO labels VALUES (2, 'der', ?)", there)
        db.execute("INSERT INTO labels VALUES (2, 'rare one', 3)")
        db.execute("""UPDATE items SET tags = '{"mood": "der sad"}' WHERE item < 4""")
    explorer = Explorer(folder)
    explorer.people.add_label(CodeRef(OTHER, "L1.mlp", 2), "my dragon", "Ada")
    return explorer


def test_a_value_is_found_with_the_code_that_stands_for_it_and_the_text_is_offered_as_a_pattern(explorer) -> None:
    found = explorer.find("der", model=OTHER)
    first, last = found.iloc[0], found.iloc[-1]
    assert (first["kind"], first["model"], first["title"]) == ("concept", OTHER, "article = der")
    row = explorer.concepts(OTHER, "article").iloc[0]
    assert first["detail"] == f"best code L0.mlp/11, {100 * row['precision']:.0f} %"
    assert (first["site"], first["code"], first["field"], first["value"]) == ("L0.mlp", 11, "article", "der")
    assert (last["kind"], last["model"], last["value"], last["title"]) == ("pattern", OTHER, "der", "/der/")
    assert {"word = der"} <= set(found.loc[found["model"] == MODEL, "title"])
    assert found["score"][:-1].is_monotonic_decreasing and found["score"].between(0, 1).all()
    tag = found[found["kind"] == "tag"].iloc[0]
    assert (tag["title"], tag["field"], tag["value"], tag["detail"]) == (
        "mood = der sad",
        "item:mood",
        "der sad",
        "4 items",
    )


def test_every_word_has_to_match_and_case_does_not_matter(explorer) -> None:
    assert explorer.find("ARTICLE Der").iloc[0]["title"] == "article = der"
    few = explorer.find("rare")
    assert few.iloc[0]["title"] == "article = rare one" and "too few" in few.iloc[0]["detail"]
    assert few.iloc[0]["code"] == -1
    assert explorer.find("article zebra")["kind"].tolist() == ["pattern"]
    assert explorer.find("   ").empty


def test_what_people_say_is_found_with_who_says_it(explorer) -> None:
    found = explorer.find("dragon").iloc[0]
    assert (found["kind"], found["title"], found["model"]) == ("label", "my dragon", OTHER)
    assert (found["detail"], found["site"], found["code"]) == ("L1.mlp/2, by Ada", "L1.mlp", 2)


def test_models_and_codes_are_found_by_their_names(explorer) -> None:
    found = explorer.find("other").iloc[0]
    assert (found["kind"], found["model"]) == ("model", OTHER)
    for text in ("L1.attn/h0:17", "L1.attn/h0/17"):
        found = explorer.find(text)
        assert found["kind"].tolist() == ["code", "code", "pattern"] and set(found["model"][:2]) == {MODEL, OTHER}
        assert set(zip(found["site"][:2], found["code"][:2], strict=True)) == {("L1.attn/h0", 17)}
    found = explorer.find(f"{OTHER}/L1.attn/h0/17")
    assert found["kind"].tolist() == ["code", "pattern"] and found["model"].iloc[0] == OTHER
    assert explorer.find("L1.mlp:999")["kind"].tolist() == ["pattern"], "no such code"


def test_descriptions_are_found_once_their_codebook_was_described(explorer) -> None:
    table = explorer.descriptions(OTHER, "L0.mlp")
    assert table.set_index("code").loc[11, "text"] == "article = der" and table.set_index("code").loc[11, "good"]
    other = explorer.descriptions(MODEL, "L0.mlp")
    good = other[other["good"]]
    if len(good):
        found = explorer.find(good["text"].iloc[0])
        assert good["text"].iloc[0] in set(found.loc[found["model"] == MODEL, "title"])


def test_a_text_that_is_no_pattern_is_offered_as_it_stands(explorer) -> None:
    assert explorer.find("a(b").iloc[-1]["value"] == r"a\(b"
    assert explorer.find("x*")["value"].iloc[-1] == r"x\*", "as a pattern it would match everywhere"
    for arguments in ({"text": "x" * 201}, {"text": "x", "n": 0}):
        with pytest.raises(BadInput):
            explorer.find(**arguments)
    assert len(explorer.find("e", n=3)) == 3 and explorer.find("e", n=3)["kind"].iloc[-1] == "pattern"


def test_who_does_not_wait_is_answered_at_once_and_in_full_a_moment_later(tmp_path) -> None:
    tiny_store.make(tmp_path, items=100)
    explorer = Explorer(tmp_path)
    first = explorer.find("der", waits=False)
    assert first["kind"].tolist() == ["pattern"] and first.attrs["waiting"] == 1
    deadline = time.monotonic() + 30
    while explorer.find("der", waits=False).attrs["waiting"] and time.monotonic() < deadline:
        time.sleep(0.05)
    assert "word = der" in set(explorer.find("der", waits=False)["title"])


def test_a_new_build_is_searched_and_a_broken_one_is_passed_over(tmp_path) -> None:
    tiny_store.make(tmp_path, items=100)
    explorer = Explorer(tmp_path)
    assert "article = der" not in set(explorer.find("der")["title"])
    truth = tiny_store.make(tmp_path, build="20260202T000000-0123abcd", items=100)
    with duckdb.connect(str(truth.path)) as db:
        db.execute("INSERT INTO fields VALUES (2, 'article')")
        db.executemany("INSERT INTO labels VALUES (2, 'der', ?)", [[t[0]] for t in truth.tokens if t[5] == "der"])
    assert "article = der" in set(explorer.find("der")["title"])
    (tmp_path / "builds" / f"{MODEL}.20260303T000000-0123abcd.duckdb").write_bytes(b"broken")
    assert "article = der" in set(explorer.find("der")["title"])
