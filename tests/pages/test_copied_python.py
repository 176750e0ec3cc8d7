"""What "Copy as Python" hands out on every page, saved to a file, runs from any folder and prints what the page shows."""

from __future__ import annotations

import ast
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import streamlit as st

from app.draw import html
from app.shell import resources, script
from app.shell.environment import DATA_DIR_VARIABLE
from backend.calls import Call
from backend.explorer import Explorer, show
from backend.types import CodeRef, Edit, Sampling
from tests.pages.conftest import ROOT, Page, open_page  # noqa: F401  (a fixture)
from tests.pages.image_models import IMAGES, image_dir  # noqa: F401  (a fixture)
from tests.pages.machine_models import CODED, machine_dir  # noqa: F401  (a fixture)
from tests.pages.story_models import STORIES, story_dir  # noqa: F401  (a fixture)

PLUMBING = ("streamlit", "progress", "cache", "explorer.models()\n", "label_fields", "all_labels", "previous_and_next")
PAGES = {path.stem for path in (ROOT / "pages").glob("*.py")}
UNTOLD = {"help"}  # shows documents, no answers


@pytest.fixture(scope="module")
def everything(tmp_path_factory, story_dir, machine_dir, image_dir) -> Path:  # noqa: F811
    """A data directory with a model of each kind, in a folder whose name is no plain word."""
    folder = tmp_path_factory.mktemp("every thing's here")
    for one in (story_dir, machine_dir, image_dir):
        shutil.copytree(one, folder, dirs_exist_ok=True)
    ref = CodeRef(STORIES, "L0.mlp", 8)
    people = Explorer(folder).people
    people.add_label(ref, "says hello", "Ada")
    people.add_note(ref, "seen often")
    people.add_to_list("greetings", ref)
    return folder


@pytest.fixture
def data_dir(everything, monkeypatch):
    """The pages of these tests look at all of the models."""
    monkeypatch.setenv(DATA_DIR_VARIABLE, str(everything))
    st.cache_data.clear()
    st.cache_resource.clear()
    return everything


def copied(page: Page) -> str:
    """The program that the page hands out."""
    (program,) = [code.value for code in page.test.code if code.value.startswith("import sys\n")]
    return program


def ran(program: str, tmp_path: Path) -> str:
    """What a program prints that was saved to a file, run from a folder of no meaning."""
    file = tmp_path / "copied.py"
    file.write_text(program, encoding="utf-8")
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    done = subprocess.run([sys.executable, str(file)], cwd=elsewhere, capture_output=True, text=True, timeout=110)
    assert done.returncode == 0, f"{program}\n{done.stderr}"
    assert not list(elsewhere.iterdir()), "nothing is written where it runs"
    return done.stdout


def best(frame, by: str = "f1"):
    return frame.sort_values(by, ascending=False, kind="stable").iloc[0]


def overview(explorer: Explorer) -> list[str]:
    return [STORIES, CODED, IMAGES, f"positions: {explorer.facts(STORIES)['positions']}"]


def codebooks(explorer: Explorer) -> list[str]:
    table = explorer.descriptions(STORIES, "L0.mlp")
    most = best(explorer.codes(STORIES, "L0.mlp"), "count")
    return ["L0.attn.h0", f"{most['count']:.0f}", str(table["text"].iloc[0])]


def code(explorer: Explorer) -> list[str]:
    ref = CodeRef(STORIES, "L0.mlp", 8)
    described = explorer.describe(ref)
    top = explorer.tokens_of(ref, 12).iloc[0]
    assert described is not None
    return [
        f"count: {explorer.code(ref).count}",
        f"text: {described.text}",
        f"item {explorer.examples(ref, 'top', n=8, context=10)[0].item}, place",
        f"{top['count']} ",
        "measured",
        "says hello",
    ]


def image_code(explorer: Explorer) -> list[str]:
    ref = CodeRef(IMAGES, "vq", 5)
    patch = explorer.patches(ref, "random", n=24)[0]
    return [
        f"item {patch.item}, row {patch.row}, column {patch.column}: code 5",
        "put into other pictures: 0.",
        str(explorer.code_places(ref)[0]).strip("[]"),
    ]


def search(explorer: Explorer) -> list[str]:
    row = explorer.search(STORIES, "and").codes.iloc[0]
    return [f"{row['ref']} ", f"{row['precision']:.4g}", f"matches: {explorer.search(STORIES, 'and').matches}"]


def query(explorer: Explorer) -> list[str]:
    return ["count: ", "examples:", "L0.mlp:8"]


def passage(explorer: Explorer) -> list[str]:
    row = explorer.passage_codes(STORIES, 3, 10, 40).iloc[0]
    return [f"{row['ref']} ", f"{row['lift']:.4g}", repr(explorer.item(STORIES, 3).text[:20])[1:-1]]


def covered(explorer: Explorer) -> list[str]:
    found = explorer.covered_passages(CodeRef(STORIES, "L0.mlp", 8), n=12)
    return [f"items: {found.items}", f"{found.table['share'].iloc[0]:.4g}"]


def concepts(explorer: Explorer) -> list[str]:
    table = explorer.concepts(STORIES, "pos")
    row = best(table[table["value"].str.contains("n")], "precision")
    return [str(row["value"]), f"{row['control_low']:.4g}"]


def lens_text(explorer: Explorer) -> list[str]:
    seen = explorer.live(STORIES).lens("Once upon a time")
    codes = " ".join(map(str, seen.grids["L0.mlp"].codes[-1]))
    return [f"{seen.tokens[-1].text!r} {codes}", str(best(seen.next, "before")["token"]).strip()]


def lens_item(explorer: Explorer) -> list[str]:
    codes = explorer.codes_of_item(STORIES, 3, ["L0.mlp"])
    return [repr(explorer.item(STORIES, 3).text[:20])[1:-1], f"{codes['score'].iloc[0]:.4g}", "runner_up"]


def states(explorer: Explorer) -> list[str]:
    view = explorer.states(CODED, "L0.mlp")
    return [f"unread: {view.unread}", str(view.codes["ref"].iloc[0])]


def believe(explorer: Explorer) -> list[str]:
    asked = {"at": 7, "places": ("mlp",), "samples": 2, "new_states": 2, "seed": 0}
    walk = " ".join(explorer.item(CODED, 0).text.split()[1:9])
    found = explorer.live(CODED).believe(walk, "02", **asked)
    return ["target: 02", f"token_normalized: {found.token_normalized:.6g}", "continued_before:"]


def steer(explorer: Explorer) -> list[str]:
    live, sampling = explorer.live(CODED), Sampling(max_new_tokens=40)
    steered = live.generate("01 20", sampling, edits=[Edit.parse("L0.mlp:3")])
    return [f"Unsteered:\n{live.generate('01 20', sampling)[0].text}", f"Steered:\n{steered[0].text}"]


def image_tokens(explorer: Explorer) -> list[str]:
    tokens = explorer.token_map(IMAGES, 2, "vq")[..., 0]
    tokens[0, 3] = 11
    return [str(tokens)]


def compare(explorer: Explorer) -> list[str]:
    return [IMAGES, "psnr", "test.0", "test.3"]


def lists(explorer: Explorer) -> list[str]:
    return ["says hello", "seen often", "greetings", "author: Ada"]


MODEL = {"model": STORIES}
CASES = [
    ("overview", MODEL, overview),
    ("codebooks", MODEL | {"site": "L0.mlp", "described": 1}, codebooks),
    ("code", MODEL | {"site": "L0.mlp", "code": 8, "effect": 1}, code),
    ("code", {"model": IMAGES, "site": "vq", "code": 5}, image_code),
    ("search", MODEL | {"pattern": "and"}, search),
    ("search", MODEL | {"mode": "codes", "query": "L0.mlp:8 then5 L0.mlp:3"}, query),
    ("search", MODEL | {"mode": "passage", "item": 3, "start": 10, "stop": 40}, passage),
    ("search", MODEL | {"mode": "covered", "site": "L0.mlp", "code": 8}, covered),
    ("concepts", MODEL | {"field": "pos", "find": "N", "order": "precision"}, concepts),
    ("lens", MODEL | {"text": "Once upon a time", "site": "L0.mlp"}, lens_text),
    ("lens", MODEL | {"item": 3, "site": "L0.mlp"}, lens_item),
    ("states", {"model": CODED, "site": "L0.mlp"}, states),
    ("states", {"model": CODED, "view": "believe", "target": "02", "samples": 2, "steps": 2, "run": 1}, believe),
    ("steer", {"model": CODED, "prompt": "01 20", "edit": "L0.mlp:3", "run": 1}, steer),
    ("image_tokens", {"model": IMAGES, "source": "item", "item": 2, "change": "vq:paint:11@3"}, image_tokens),
    ("compare", {"tokenizer": IMAGES, "n": 4}, compare),
    ("lists", {}, lists),
]


def test_every_page_is_among_the_cases():
    assert {page for page, _, _ in CASES} == PAGES - UNTOLD


@pytest.mark.parametrize(
    ("page", "parameters", "expected"), CASES, ids=[f"{page}-{expected.__name__}" for page, _, expected in CASES]
)
def test_the_copy_runs_from_anywhere_and_prints_what_the_page_shows(
    open_page,  # noqa: F811
    data_dir,
    tmp_path,
    page,
    parameters,
    expected,  # noqa: F811
):
    program = copied(open_page(page, **parameters))
    printed = ran(program, tmp_path)
    for text in expected(Explorer(data_dir)):
        assert text in printed, f"{text!r} is not in what this prints:\n{program}\n{printed[:4000]}"
    if page != "overview":
        assert not [word for word in PLUMBING if word in program]


def test_a_filter_of_the_concepts_is_in_the_copy(open_page, data_dir, tmp_path):  # noqa: F811
    page = open_page("concepts", model=STORIES, find="CALENDAR", order="value", rows=3)
    printed = ran(copied(page), tmp_path)
    rows = [line for line in printed.splitlines() if "calendar" in line]
    assert rows and len([line for line in printed.splitlines() if f"{STORIES}/" in line]) == len(rows)
    assert html.share(0.5)  # the page itself is checked elsewhere
    assert page.html.split("<tbody>")[1].count("<tr>") == len(rows)


def test_paths_of_windows_quotes_and_unicode_stand_as_they_are(monkeypatch, tmp_path):
    monkeypatch.setattr(script, "ROOT", "C:\\Users\\new 'one'\\codescope")
    program = script.program([], ["show(explorer.people.lists())"], "D:\\data\\ü")
    tree = ast.parse(program)
    strings = [node.value for node in ast.walk(tree) if isinstance(node, ast.Constant)]
    assert "C:\\Users\\new 'one'\\codescope" in strings and any(str(s).endswith("D:\\data\\ü") for s in strings)


def test_a_program_says_no_more_than_it_needs(data_dir):
    ref = CodeRef(STORIES, "L0.mlp", 8)
    calls = [
        Call("models", {}, 0.1, 3),
        Call("code", {"ref": ref}, 0.1, 3),
        Call("code", {"ref": ref}, 0.1, 3),
        Call("neighbours", {"ref": ref, "n": 3}, 0.1, 3),
    ]
    program = script.program(calls, ["tokens = explorer.tokens_of(ref=" + repr(ref) + ")"], data_dir)
    body = program.split("explorer = ")[1].splitlines()[1:]
    assert body[:3] == [
        f"ref = CodeRef.parse({str(ref)!r})",
        "show(explorer.code(ref))",
        "show(explorer.neighbours(ref, n=3))",
    ]
    assert len(body) == 4 and "Clause" not in program and "Sampling" not in program and "Edit" not in program


def test_show_prints_every_kind_of_answer(data_dir, capsys):
    explorer = Explorer(data_dir)
    ref = CodeRef(STORIES, "L0.mlp", 8)
    show(explorer.codes(STORIES, "L0.mlp"), rows=5)
    said = capsys.readouterr().out
    assert said.count("\n") == 8 and "... and 91 more" in said
    show(explorer.item(STORIES, 3))
    assert "tags:" in (said := capsys.readouterr().out) and "Token(" not in said
    show(explorer.concepts(STORIES, min_support=10**6))
    assert capsys.readouterr().out.startswith("no rows (field, value")
    show(None)
    show([])
    show({"a": 0.25, "b": [1, 2]})
    assert capsys.readouterr().out == "None\n\nnone\n\na: 0.25\nb: 1, 2\n\n"
    show([ref, ref])
    assert capsys.readouterr().out == f"{ref}, {ref}\n\n"
    assert re.search(r"float32 \[32\]", str(show(explorer.code(ref)) or capsys.readouterr().out))


def test_answers_that_are_never_kept_are_in_the_foot_too(open_page):  # noqa: F811
    program = copied(open_page("code", model=IMAGES, site="vq", code=5))
    assert "explorer.patches(ref, how='top'" in program and "explorer.code_places(ref)" in program
    assert resources.explorer().patches(CodeRef(IMAGES, "vq", 5), n=2)
