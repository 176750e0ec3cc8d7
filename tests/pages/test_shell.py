"""What all pages share: what a page declares holds everywhere, the foot is drawn once and is honest, codes have names."""

from __future__ import annotations

import ast
import re
import shutil
import subprocess
from pathlib import Path
from types import SimpleNamespace

import pandas as pd
import pytest
import streamlit as st

from app.components.navigator import KEYS
from app.draw import glossary, html
from app.items import ITEM_VIEWS
from app.lens import lens
from app.main import PAGES
from app.shell import chosen, header, names, resources
from app.shell.environment import DATA_DIR_VARIABLE
from app.shell.foot import summary
from app.shell.names import Names
from app.shell.pages import Page
from app.shell.trace import Trace
from backend.answers.stored import Token
from backend.calls import Call
from backend.explorer import Explorer
from backend.questions.finding import COLUMNS
from backend.types import CodeRef
from tests.backend import tiny_store
from tests.pages.conftest import MODEL, ROOT, open_page  # noqa: F401  (a fixture)
from tests.pages.image_models import IMAGES, image_dir  # noqa: F401  (a fixture)

EVIL = '<img src=x onerror="alert(1)">'
NAME = "der = <b>"


@pytest.fixture
def data_dir(image_dir, tmp_path, monkeypatch):  # noqa: F811
    """A model of texts, which can be steered, and one of pictures."""
    folder = tmp_path / "both"
    shutil.copytree(image_dir, folder)
    tiny_store.make(folder, items=60)
    monkeypatch.setenv(DATA_DIR_VARIABLE, str(folder))
    st.cache_data.clear()
    st.cache_resource.clear()
    return folder


# ---- what a page declares


def test_every_page_is_one_file_and_one_line():
    assert sorted(page.file for page in PAGES) == sorted(path.stem for path in (ROOT / "pages").glob("*.py"))
    assert len({page.title for page in PAGES}) == len(PAGES) and all(
        page.question.endswith(("?", ".")) for page in PAGES
    )


def test_pages_ask_how_items_are_drawn_and_never_for_their_kind():
    found = []
    for top in ("app", "pages"):
        for path in sorted((ROOT / top).rglob("*.py")):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if not isinstance(node, ast.Compare):
                    continue
                values = [node.left, *node.comparators]
                of_kind = any(ast.unparse(value).endswith((".kind", "['kind']")) for value in values)
                if of_kind and any(isinstance(value, ast.Constant) and value.value in ITEM_VIEWS for value in values):
                    found.append((path.relative_to(ROOT).as_posix(), ast.unparse(node)))
    assert found == []


@pytest.mark.parametrize(
    ("page", "model"), [("image_tokens", MODEL), ("states", MODEL), ("states", IMAGES), ("steer", IMAGES)]
)
def test_a_page_says_what_a_model_of_the_address_lacks_and_offers_models_that_have_it(open_page, page, model):  # noqa: F811
    found = open_page(page, model=model).html
    assert f"Nothing to show for {model}." in found and "There is no model" not in found
    said = {
        "image_tokens": "reads text items",
        "states": "cannot be shown as a finite-state machine",
        "steer": "cannot be steered",
    }
    assert said[page] in found
    if page == "image_tokens":
        assert f'href="image_tokens?model={IMAGES}"' in found and "about models that read image items" in found
    else:
        assert "No model here can." in found


def test_a_page_that_chooses_by_itself_chooses_a_model_that_fits(open_page):  # noqa: F811
    test = open_page("code", model=MODEL).test  # it is the model last looked at
    for page, model in (("codebooks", MODEL), ("image_tokens", IMAGES)):
        test.query_params.clear()
        test.switch_page(str(ROOT / "pages" / f"{page}.py")).run()
        assert test.query_params["model"] in (model, [model])
    assert "No model that can be shown as a finite-state machine is built yet." in open_page("states").html


def test_links_between_pages_have_the_model_only_where_it_fits(open_page):  # noqa: F811
    links = dict(
        re.findall(r'<a data-nav="1" href="([a-z_]+)\?(?:model=)([^"&]*)"', open_page("code", model=IMAGES).html)
    )
    assert links["codebooks"] == links["image_tokens"] == links["search"] == IMAGES and "steer" not in links
    text = open_page("codebooks", model=MODEL).html
    assert f'href="search?model={MODEL}"' in text and 'href="image_tokens"' in text and 'href="states"' in text


def test_the_picker_offers_what_the_page_can_show(open_page):  # noqa: F811
    assert open_page("image_tokens", model=IMAGES).test.selectbox(key="w.model").options == [IMAGES]
    assert set(open_page("code", model=MODEL).test.selectbox(key="w.model").options) == {MODEL, IMAGES}
    assert open_page("image_tokens", model=MODEL).test.selectbox(key="w.model").options == [MODEL, IMAGES]


def test_what_another_model_can_do_is_not_guessed_before_it_is_built():
    columns = ["model", "kind", "built", "codebooks", "capabilities", "base", "checkpoint", "problem"]
    rows = [("plain", "text", "", 0, [], "", True, ""), ("coded", "text", "", 0, [], "plain", True, "")]
    models = pd.DataFrame(rows, columns=columns)
    page = Page("steer", "Steer", "?", ("steer",))
    assert page.lacks(models, "coded") == "" and page.fitting(models) == []
    assert page.lacks(models, "plain").startswith("is a plain model without codebooks")


# ---- the first look


def test_an_address_without_a_code_opens_on_the_most_meaningful_one_and_says_so(open_page, monkeypatch):  # noqa: F811
    look = SimpleNamespace(site="L1.mlp", code=2)
    monkeypatch.setattr(Explorer, "first_look", lambda self, model: look, raising=False)
    page = open_page("code", model=MODEL)
    assert page.test.query_params["site"] in ("L1.mlp", ["L1.mlp"]) and page.test.query_params["code"] in ("2", ["2"])
    assert "Strongest" in page.html
    assert open_page("codebooks", model=MODEL).test.query_params["site"] in ("L1.mlp", ["L1.mlp"])
    assert "first_look" not in page.test.code[0].value


@pytest.mark.parametrize(
    ("page", "parameters"),
    [
        ("code", {"site": "L0.mlp"}),
        ("codebooks", {"map": "pca"}),
        ("lens", {"item": 3}),
        ("lens", {"item": 3, "place": 0}),
    ],
)
def test_an_old_link_shows_what_it_has_always_shown(open_page, monkeypatch, page, parameters):  # noqa: F811
    monkeypatch.setattr(
        Explorer, "first_look", lambda self, model: SimpleNamespace(site="L1.mlp", code=2), raising=False
    )
    found = open_page(page, model=MODEL, **parameters)
    assert found.test.query_params.get("site") in (None, "L0.mlp", ["L0.mlp"])
    expected = {
        "code": "Most used codes of L0.mlp",
        "codebooks": "All codes of L0.mlp",
        "lens": "tokens through L0.mlp",
    }
    assert expected[page] in found.html or page == "codebooks"


# ---- the foot


@pytest.mark.parametrize("page", [page.file for page in PAGES])
def test_every_page_has_one_foot(open_page, page):  # noqa: F811
    assert open_page(page).html.count('class="cs-foot"') == 1


def test_a_page_that_ends_early_has_its_foot_too(open_page):  # noqa: F811
    for said, parameters in (("Most used codes", {}), ("is dead", {"code": 10}), ("has no code", {"code": "x"})):
        found = open_page("code", model=MODEL, site="L0.mlp", **parameters).html
        assert said in found and found.count('class="cs-foot"') == 1


def test_no_page_stops_the_script_and_its_foot_with_it():
    assert [path.name for path in (ROOT / "pages").glob("*.py") if "st.stop" in path.read_text(encoding="utf-8")] == []


def test_the_foot_counts_the_work_behind_answers_that_were_kept():
    call = Call("lens", {}, 0.1, 1200)
    current = Trace(started=10.0, ended=10.107, calls=[(call, True)], besides=[(call, False)], live=2, earlier=85.2)
    assert summary(current) == (
        "107 ms · 2,400 rows read in 2 questions (1 from the cache) · 2 to the model itself · "
        "what is shown from earlier took 85.2 s then"
    )
    assert summary(Trace(started=0.0, ended=85.0)) == "85.0 s · 0 rows read in 0 questions"


def test_a_text_that_the_model_has_read_before_says_how_long_that_took(open_page, monkeypatch):  # noqa: F811
    def slow(self, text):
        import time

        time.sleep(0.3)
        return SimpleNamespace(tokens=[Token("a")], grids={}, next=None)

    monkeypatch.setattr(Explorer, "live", lambda self, model: type("Live", (), {"lens": slow})())
    monkeypatch.setattr(lens, "reads_text", lambda model: True)
    first, again = (open_page("lens", model=MODEL, text="a", way="text", site="L0.mlp").html for _ in range(2))
    assert "took" not in first.split('class="cs-foot"')[1] and "1 to the model itself" in first
    assert re.search(r"what is shown from earlier took [\d,]+ ms then", again)


# ---- addresses


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, None), ("", None), ([], None), ((), None), (0, "0"), (True, "1"), (False, "0"), (0.1 + 0.2, "0.3"),
        (1e-05, "1e-05"), ("a b", "a b"), ([1, "b", None], ["1", "b"]), ((0.5, True), ["0.5", "1"]),
    ],
)  # fmt: skip
def test_a_value_is_written_into_addresses_in_one_way(value, text):
    assert html.written(value) == text


def test_a_link_has_what_a_widget_would_write(open_page):  # noqa: F811
    page = open_page("search", model=MODEL, pattern="a", order="recall", support=3)
    page.test.number_input(key="w.support").set_value(4).run()
    assert page.check().test.query_params["support"] in ("4", ["4"])
    assert html.address("search", support=4, neurons=False) == "search?support=4&neurons=0"


# ---- names of codes


@pytest.fixture
def named(monkeypatch):
    """Every code of the store fires on something."""

    def code_names(self, model, site):
        return pd.DataFrame({"code": [0, 1, 11], "name": [NAME, "x" * 90, "the token der"], "kind": "token"})

    monkeypatch.setattr(Explorer, "code_names", code_names, raising=False)
    monkeypatch.setattr(names, "PATIENCE", 20.0)


def test_a_chip_says_what_its_code_fires_on_and_a_persons_label_goes_before(open_page, named, data_dir):  # noqa: F811
    Explorer(data_dir).people.add_label(CodeRef(MODEL, "L0.mlp", 0), "my own", "Ada")
    text = open_page("code", model=MODEL, site="L0.mlp", code=11).html
    assert html.visible_label(NAME).replace("<", "&lt;").replace(">", "&gt;") in text and "<b>der" not in text
    found = Names(resources.explorer(), MODEL)
    assert found[CodeRef(MODEL, "L0.mlp", 0)] == "my own" and not isinstance(
        found[CodeRef(MODEL, "L0.mlp", 0)], html.Spoken
    )
    assert isinstance(found[CodeRef(MODEL, "L1.mlp", 0)], html.Spoken) and len(found[CodeRef(MODEL, "L1.mlp", 1)]) == 40
    assert CodeRef(MODEL, "L0.mlp", 5) not in found and CodeRef("gone", "a", 1) not in found
    assert 'class="name">my own' in str(html.chip(CodeRef(MODEL, "L0.mlp", 0), 1, found[CodeRef(MODEL, "L0.mlp", 0)]))
    assert 'class="name spoken">the token der' in str(
        html.chip(CodeRef(MODEL, "L0.mlp", 11), 1, found[CodeRef(MODEL, "L0.mlp", 11)])
    )


def test_a_page_does_not_wait_for_names_that_take_long(open_page, monkeypatch):  # noqa: F811
    import threading
    import time

    free = threading.Event()

    def code_names(self, model, site):
        free.wait(30)
        return pd.DataFrame({"code": [0], "name": ["zebra"], "kind": "token"})

    monkeypatch.setattr(Explorer, "code_names", code_names, raising=False)
    started = time.perf_counter()
    page = open_page("code", model=MODEL, site="L0.mlp")
    assert time.perf_counter() - started < 20 and "zebra" not in page.html
    free.set()
    for _ in range(100):
        if "zebra" in page.test.run().get("html")[-1].proto.body or "zebra" in page.html:
            break
        time.sleep(0.05)
    assert "zebra" in page.html


# ---- the search box, keys and words


def test_what_is_found_leads_to_its_page(data_dir, monkeypatch):
    def find(self, text, n, waits):
        rows = [
            ("concept", "m", f"topic = {text}", "best code L0.mlp/3, 93 %", 0.93, "L0.mlp", 3, "topic", text),
            ("description", "m", "the dragon", "L0.mlp/3, 93 %", 0.9, "L0.mlp", 3, "", ""),
            ("pattern", "m", f"/{text}/", "codes that fire where it matches", 0.0, "", -1, "", text),
        ]
        table = pd.DataFrame(rows, columns=COLUMNS)
        table.attrs["waiting"] = 2
        return table

    monkeypatch.setattr(Explorer, "find", find, raising=False)
    found, waiting = header.hits("dragon")
    assert [hit.title for hit in found] == ["topic = dragon", "the dragon", "/dragon/"] and waiting == 2
    assert found[0].detail == "m · best code L0.mlp/3, 93 %"
    assert [hit.href for hit in found] == [
        "search?model=m&field=topic&value=dragon",
        "code?model=m&site=L0.mlp&code=3",
        "search?model=m&pattern=dragon",
    ]
    assert header.hits("") == ([], 0)
    assert header.hits("\u202e")[0][0].title == "topic = U+202E"


def test_words_that_head_a_figure_or_a_column_are_explained():
    table = str(html.table(["Code", "PMI, bits", "Held out: precision", EVIL], [["a", "b", "c", "d"]]))
    assert glossary.GLOSSARY["PMI"] in table and "Held out: " + glossary.GLOSSARY["held out"] in table
    assert table.count("<abbr") == 2 and table.count('tabindex="0"') == 2 and "<img" not in table
    assert ">Held out: precision</abbr>" in table, "a heading stays in one piece"
    figures = str(html.stats([("dead", "3", "of 9"), ("in items", "4", "")]))
    assert glossary.GLOSSARY["dead"] in figures and figures.count("<abbr") == 1


@pytest.mark.parametrize(
    "term",
    "margin slot PMI lift forced ceiling runner-up support KL perplexity precision recall F1".split() + ["held out"],
)
def test_the_glossary_has_the_words_that_newcomers_ask_for(term):
    assert len(glossary.GLOSSARY[term]) > 20 and glossary.meaning(term)


def test_the_sheet_of_keys_has_every_key_that_a_link_follows(open_page):  # noqa: F811
    followed = set(re.findall(r'data-key="(.)"', open_page("code", model=MODEL, site="L0.mlp", code=2).html))
    assert followed and followed | {"/", "?"} <= set(KEYS)


# ---- empty first screens


@pytest.mark.parametrize(
    ("page", "parameters"),
    [("search", {"model": MODEL}), ("search", {"model": IMAGES}), ("search", {"model": MODEL, "mode": "codes"}),
     ("search", {"model": IMAGES, "mode": "codes"}), ("lens", {"model": MODEL, "way": "text"}), ("lists", {})],
)  # fmt: skip
def test_an_empty_first_screen_offers_two_questions_that_have_an_answer(open_page, data_dir, page, parameters):  # noqa: F811
    import duckdb

    with duckdb.connect(str(next((data_dir / "builds").glob(f"{MODEL}.*")))) as store:  # its model can read a text
        store.execute("UPDATE facts SET value = '[\"encode\", \"logits\"]' WHERE key = 'capabilities'")
    resources._explorer.clear()
    html_of_page = open_page(page, **parameters).html
    offered = re.findall(r'href="([^"]+)"', html_of_page.split("For example:")[1].split("</div></div>")[0])
    assert len(offered) == 2
    for address in offered:
        name, _, query = address.replace("&amp;", "&").partition("?")
        if name == "lens":
            continue  # it needs the model itself
        from urllib.parse import parse_qs

        answer = open_page(name, **parse_qs(query)).html
        assert 'class="problem"' not in answer and "No code fires there" not in answer and "Nowhere." not in answer


# ---- components


@pytest.mark.skipif(shutil.which("node") is None, reason="there is no node on this machine")
@pytest.mark.parametrize("path", sorted((ROOT / "app" / "components").glob("*.js")), ids=lambda path: path.name)
def test_the_script_of_a_component_is_read_by_node(path: Path, tmp_path: Path):
    module = tmp_path / "component.mjs"  # node reads what ends so as the browser does: as a module
    module.write_text(path.read_text(encoding="utf-8"), encoding="utf-8")
    done = subprocess.run(["node", "--check", str(module)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_scripts_and_styles_of_components_stand_in_files_of_their_own():
    for path in (ROOT / "app" / "components").glob("*.py"):
        if path.stem == "token_map":
            continue  # its second script is three lines
        text = path.read_text(encoding="utf-8")
        assert "export default" not in text and "{ display" not in text, path.name
    assert chosen.page().name == "" and Token("a").text == "a"
