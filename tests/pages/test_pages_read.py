"""The reading pages say the right numbers, survive nonsense in an address, and show every string without running it."""

from __future__ import annotations

import json
import shutil
from types import SimpleNamespace

import duckdb
import numpy as np
import pandas as pd
import pytest

from app.draw.tables import row
from app.lens import lens
from app.shell import resources
from app.shell.environment import PROGRESS_VARIABLE
from backend.answers.stored import Token
from backend.explorer import Explorer
from backend.types import CodeGrid, CodeRef
from tests.pages.conftest import MODEL

EVIL = '<img src=x onerror="alert(1)"><script>alert(2)</script>'


def test_a_plain_model_without_codebooks_is_not_offered_and_explained_where_it_is_asked_for(open_page, data_dir):
    for path in list((data_dir / "builds").glob("*.duckdb")):
        plain = path.with_name(path.name.replace(MODEL, "a-plain"))
        shutil.copy(path, plain)
        with duckdb.connect(str(plain)) as store:
            store.execute("UPDATE facts SET value = '\"a-plain\"' WHERE key = 'model'")
            for table in ("codebooks", "codes"):
                store.execute(f"DELETE FROM {table}")
    assert "a-plain" in open_page("overview", view="models").html
    for name in ("codebooks", "code", "lens", "search"):
        page = open_page(name, model="a-plain")
        assert "a-plain is a plain model without codebooks" in page.html and "should not have" not in page.html
        assert "codebooks?model=a-plain" not in page.html.partition('role="alert"')[2]
        page = open_page(name)
        assert page.test.query_params["model"] == MODEL  # its address shows the same on any machine
        assert page.test.selectbox(key="w.model").options == [MODEL]


def test_image_tokens_says_that_no_tokenizer_is_built_and_where_it_stands(open_page, data_dir, tmp_path, monkeypatch):
    (data_dir / "catalog").mkdir(exist_ok=True)
    (data_dir / "catalog" / "pics.toml").write_text(
        'name = "pics"\nfamily = "image_tokenizer"\nkind = "image"\ntitle = "A tokenizer"\n'
        'checkpoint = "checkpoints/pics"\n\n[dataset]\nname = "scenes"\nsize = 32\n'
    )
    progress = tmp_path / "progress.json"
    states = [("x", "done"), ("y", "building"), ("z", "waiting"), ("pics", "waiting")]
    progress.write_text(json.dumps([{"model": m, "state": s, "share": None, "line": ""} for m, s in states]))
    monkeypatch.setenv(PROGRESS_VARIABLE, str(progress))
    page = open_page("image_tokens")
    assert "<h1>Image tokens" in page.html and "No image tokenizer is built yet." in page.html
    assert "waiting for its turn: 2 builds come before it" in page.html and "No model is built" not in page.html


def test_the_codebooks_page_counts_alive_and_dead_codes(open_page):
    page = open_page("codebooks", model=MODEL, site="L1.mlp")
    row = resources.explorer().codebooks(MODEL).set_index("site").loc["L1.mlp"]
    assert f"{int(row.activations):,} in the build" in page.html
    assert f'{int(row.dead)}</div><div class="d">never fire' in page.html


def test_the_code_page_shows_exact_counts_and_all_three_kinds_of_examples(open_page):
    page = open_page("code", model=MODEL, site="L0.mlp", code=11)
    stats = resources.explorer().code(CodeRef(MODEL, "L0.mlp", 11))
    assert f"of {stats.positions:,} positions" in page.html and f">{stats.count:,}<" in page.html
    for title in ("Strongest", "At random", "At the boundary", "Tokens under it", "Labels under it", "Nearest vectors"):
        assert title in page.html
    assert page.html.count('class="example"') >= 24


def test_a_code_page_links_to_search_and_to_the_live_codes_beside_it(open_page):
    page = open_page("code", model=MODEL, site="L0.mlp", code=3)
    assert 'data-key="j"' in page.html and "site=L0.mlp&amp;code=4" in page.html
    assert 'data-key="k"' in page.html and "site=L0.mlp&amp;code=2" in page.html
    assert "mode=codes&amp;query=L0.mlp:3" in page.html
    assert f"steer?model={MODEL}&amp;edit=L0.mlp:3" in page.html and 'data-key="s"' in page.html


def test_a_dead_code_is_explained(open_page):
    assert "This code is dead" in open_page("code", model=MODEL, site="L1.mlp", code=8).html


def test_search_finds_the_planted_code_first_and_says_its_precision(open_page):
    page = open_page("search", model=MODEL, pattern="[dD]er")
    best = resources.explorer().search(MODEL, "[dD]er").codes.iloc[0]
    assert str(best.ref) == f"{MODEL}/L0.mlp/11"
    first = page.html.split("<tbody>")[1].split("</tr>")[0]
    assert ">11</span>" in first and f"{100 * best.precision:.1f} %" in first


def test_a_wrong_pattern_is_shown_with_the_place_of_the_mistake(open_page):
    page = open_page("search", model=MODEL, pattern="ab(c")
    assert "This pattern cannot be used" in page.html and "^ here" in page.html


def test_a_boolean_query_counts_exactly(open_page):
    page = open_page("search", model=MODEL, mode="codes", query="L0.mlp:11 and L1.mlp:0")
    explorer = resources.explorer()
    from app.search import queries

    count = explorer.query(MODEL, queries.parse("L0.mlp:11 and L1.mlp:0")).count
    assert count > 0 and f'<div class="v">{count:,}</div>' in page.html


def test_the_lens_shows_an_item_of_the_build_with_every_codebook(open_page):
    page = open_page("lens", model=MODEL, item=3, place=0)
    assert "Position 0" in page.html and page.html.count("chip c") >= 3


class Live:
    """Stands for a live model: three tokens, two slots."""

    def lens(self, text):
        """What a live model answers."""
        grid = CodeGrid(
            "L0.mlp", np.array([[1, 2], [3, 4], [5, -1]]), np.full((3, 2), 0.5), np.array([7, 7, 7]), np.zeros(3)
        )
        following = pd.DataFrame({"token_id": [0], "token": [EVIL], "before": [0.75], "after": [0.75]})
        return SimpleNamespace(tokens=[Token(t) for t in ("a", EVIL, "\x00")], grids={"L0.mlp": grid}, next=following)

    def effect(self, ref, contexts, seed):
        """Likewise."""
        return pd.DataFrame({"token": ["a", "b"], "measured": [1.0, -1.0], "linear": [0.5, -0.5]})


def test_the_lens_reads_a_text_of_ones_own(open_page, monkeypatch):
    monkeypatch.setattr(Explorer, "live", lambda self, model: Live())
    page = open_page("lens", model=MODEL, text="a b c")
    assert "1 to the model itself" in page.html
    assert "75.0 %" in page.html and "<script" not in page.html and "&lt;script" in page.html


def test_a_text_that_is_too_long_is_cut_and_the_limit_is_said(open_page, monkeypatch):
    monkeypatch.setattr(Explorer, "live", lambda self, model: Live())
    page = open_page("lens", model=MODEL, text="x" * 30_000)
    assert any("20,000" in warning.value for warning in page.test.warning)


def test_the_effect_is_measured_only_when_asked_for(open_page, monkeypatch):
    asked = []
    monkeypatch.setattr(Explorer, "live", lambda self, model: asked.append(model) or Live())
    page = open_page("code", model=MODEL, site="L0.mlp", code=11)
    assert asked == []
    next(button for button in page.test.button if button.label == "Measure the effect").click().run()
    assert asked == [MODEL] and page.check().test.query_params["effect"] in ("1", ["1"])


@pytest.mark.parametrize(
    ("page", "parameters", "said"),
    [
        ("code", {"model": "nonsense"}, "There is no model"),
        ("code", {"model": MODEL, "site": "L9.mlp", "code": 1}, "no codebook"),
        ("code", {"model": MODEL, "site": "L0.mlp", "code": 999}, "no code"),
        ("code", {"model": MODEL, "site": "L0.mlp", "code": "-1"}, "no code"),
        ("code", {"model": MODEL, "site": "L0.mlp", "code": "١٢"}, "no code"),
        ("code", {"model": EVIL}, "There is no model"),
        ("search", {"model": MODEL, "mode": "codes", "query": "L0.mlp:x"}, "is not a code"),
        ("search", {"model": MODEL, "mode": "codes", "query": "L0.mlp:4 and"}, "a code has to follow"),
        ("search", {"model": MODEL, "mode": "codes", "query": "L0.mlp:99999"}, "no code"),
        ("search", {"model": MODEL, "pattern": "a" * 400}, "300"),
        ("search", {"model": MODEL, "pattern": "(?=a)"}, "look-around"),
    ],
)
def test_nonsense_in_an_address_is_explained_with_a_way_back(open_page, page, parameters, said):
    found = open_page(page, **parameters).html
    assert said in found and "Overview" in found and "Traceback" not in found
    assert "<script" not in found and "<img" not in found


@pytest.mark.parametrize("name", ["n", "context", "seed"])
def test_a_number_out_of_range_is_said_and_replaced(open_page, name):
    page = open_page("code", model=MODEL, site="L0.mlp", code=11, **{name: "many"})
    assert any(name in warning.value for warning in page.test.warning)
    assert "Strongest" in page.html


def test_labels_notes_and_lists_are_shown_and_never_run(open_page, data_dir):
    ref = CodeRef(MODEL, "L0.mlp", 11)
    people = Explorer(data_dir).people
    people.add_label(ref, EVIL, EVIL, pattern="[dD]er", precision=0.5, recall=0.25)
    people.add_note(ref, EVIL, "Ada")
    people.add_to_list(EVIL, ref, "Ada")
    for name in ("code", "lists"):
        html = open_page(name, model=MODEL, site="L0.mlp", code=11).html
        assert "&lt;script" in html and "<script" not in html and "<img" not in html
        assert "Ada" in html


def test_labels_and_notes_are_withdrawn_after_being_asked_once_more(open_page, data_dir):
    ref = CodeRef(MODEL, "L0.mlp", 11)
    people = Explorer(data_dir).people
    kept = people.add_label(ref, "keep me")
    gone = people.add_label(ref, "take me back")
    people.add_note(ref, "a note")
    page = open_page("lists")
    for what, entry, is_there in (("label", gone, people.labels), ("note", people.notes()[0], people.notes)):
        before = len(is_there())
        assert f"withdraw={entry.uid}" in page.html, "the link stands in its own row"
        page = open_page("lists", withdraw=entry.uid)
        assert len(is_there()) == before
        [b for b in page.test.button if b.label == f"Withdraw the {what}"][0].click().run()
        page.check()
        assert len(is_there()) == before - 1
    assert people.labels() == [kept] and people.notes() == []
    assert "take me back" not in page.html and "keep me" in page.html


def test_a_text_of_ones_own_is_offered_for_models_that_read_text(data_dir):
    models = Explorer(data_dir).models()
    own = row(models, "model", MODEL)
    assert lens.reads_text(own)
    assert not lens.reads_text(row(models.assign(kind="image"), "model", MODEL))
    other = models.assign(capabilities=[["encode", "steer"]] * len(models))
    assert not lens.reads_text(row(other, "model", MODEL))


def test_the_foot_says_how_many_rows_were_read_and_repeats_the_view_in_python(open_page):
    page = open_page("code", model=MODEL, site="L0.mlp", code=11)
    assert "rows read in" in page.html
    program = page.test.code[0].value
    scope: dict = {}
    exec(program, scope)
    assert scope["explorer"].code(CodeRef(MODEL, "L0.mlp", 11)).count > 0
    assert "explorer.examples(" in program and json.dumps(program)
