"""The States page counts what the store says, draws it in order, and makes a model believe what it is told."""

from __future__ import annotations

import re
import sys
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import streamlit as st

from app.components import matrix
from app.shell import resources
from app.shell.environment import DATA_DIR_VARIABLE
from app.shell.timing import Pace
from app.states import believing, machine_charts, states
from backend.explorer import Explorer
from tests.backend import tiny_store
from tests.pages.conftest import MODEL, open_page  # noqa: F401  (a fixture)
from tests.pages.machine_models import CODED, MACHINE, PLAIN, SITES, machine_dir  # noqa: F401  (a fixture)


@pytest.fixture
def data_dir(machine_dir, monkeypatch):  # noqa: F811
    """The pages of these tests look at the machines."""
    monkeypatch.setenv(DATA_DIR_VARIABLE, str(machine_dir))
    st.cache_data.clear()
    st.cache_resource.clear()
    return machine_dir


@pytest.fixture
def explorer(machine_dir):  # noqa: F811
    return Explorer(machine_dir)


def counted(explorer, site):
    """State x code counts, counted here from the items' own labels and codes."""
    counts: dict[tuple[str, int], int] = {}
    for index in range(60):
        codes = explorer.codes_of_item(CODED, index, [site])
        for place, token in enumerate(explorer.item(CODED, index).tokens):
            if name := token.labels.get("state read"):
                for code in codes.loc[codes["place"] == place, "code"]:
                    counts[name, int(code)] = counts.get((name, int(code)), 0) + 1
    return counts


@pytest.mark.parametrize("site", ["L0.mlp", "L0.attn.h1"])
def test_the_matrix_that_is_drawn_holds_the_exact_counts(explorer, site):
    view = explorer.states(CODED, site)
    data = machine_charts.state_code_matrix(view, CODED, site)
    cells = zip(data["row"], data["column"], data["count"], strict=True)
    drawn = {(data["rows"][row], int(data["columns"][column])): count for row, column, count in cells}
    expected = counted(explorer, site)
    assert drawn == expected
    totals = dict(zip(data["rows"], data["totals"], strict=True))
    positions = {
        s: sum(t.labels.get("state read") == s for i in range(60) for t in explorer.item(CODED, i).tokens)
        for s in totals
    }
    assert totals == positions
    for row, count, shade in zip(data["row"], data["count"], data["shade"], strict=True):
        assert shade == round(100 * count / data["totals"][row])
    assert data["columns"] == [str(c) for c in view.codes["code"]], "codes of one state stand together"
    owners = [o for o in view.codes["owner"] if o]
    assert owners == sorted(owners)


def test_a_matrix_with_too_many_cells_keeps_the_largest():
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"count": rng.permutation(9000)})
    kept = matrix.largest(frame, "count", most=5000)
    assert len(kept) == 5000 and kept["count"].min() == 4000 and list(kept.index) == sorted(kept.index)


def test_the_graph_that_is_drawn_marks_what_the_machine_has_and_what_the_codes_add(explorer):
    view = explorer.states(CODED, "L0.attn.h0")
    own, implied = machine_charts.adjacency(view, truth=True), machine_charts.adjacency(view, truth=False)
    pairs = zip(own["row"], own["column"], strict=True)
    assert set(pairs) == {(s, int(t)) for s, row in enumerate(MACHINE.successors) for t in row}
    kinds = list(implied["kinds"])
    for row, column, count, kind in zip(*(implied[k] for k in ("row", "column", "count", "kind")), strict=True):
        has = bool(MACHINE.transitions[row, column])
        assert kinds[kind]["name"] == ("mistake" if not has else "right" if count else "missed")
    leaving = view.transitions.groupby("source")["count"].sum()
    assert implied["totals"] == [int(leaving.get(name, 0)) for name in view.states]


def test_right_mistaken_and_missed_transitions_add_up(explorer):
    view = explorer.states(CODED, "L0.mlp")
    table = view.transitions
    shown = str(states.transition_figures(table))
    by = table.groupby("verdict")["count"].agg(["size", "sum"])
    right = by.loc["right", "size"]
    assert right + by["size"].get("missed", 0) == MACHINE.states * MACHINE.edges
    assert (
        f">{right:,}<" in shown and f"{by.loc['right', 'sum'] / table['count'].sum():.1%}".replace("%", " %") in shown
    )
    for row in table.itertuples():
        real = MACHINE.transitions[view.states.index(row.source), view.states.index(row.target)]
        assert (row.verdict == "mistake") == (not real)


def test_successors_show_what_was_never_seen_and_what_is_not_in_the_machine():
    frame = pd.DataFrame(
        {
            "source": "01",
            "target": ["02", "10", "11"],
            "count": [9, 0, 3],
            "machine": [True, True, False],
            "verdict": ["right", "missed", "mistake"],
        }
    )
    chart = machine_charts.successors(frame, "01")
    notes = list(chart.layer[2].data["note"])
    assert notes == ["02 · 9 of 12", "11 · 3 of 12 · not in the machine", "10 · never seen"]


def test_every_chart_of_a_machine_is_valid_vega(explorer):
    view = explorer.states(CODED, "L0.mlp")
    charts = [
        machine_charts.circle(view.transitions, view.states, "01"),
        machine_charts.successors(view.transitions[view.transitions["source"] == "01"], "01"),
    ]
    for chart in charts:
        assert chart.to_dict()["$schema"]


def test_the_page_shows_figures_with_their_denominators(open_page):  # noqa: F811
    page = open_page("states", model=CODED, site="L0.mlp")
    view = resources.explorer().states(CODED, "L0.mlp")
    readings = int(view.by_state["readings"].sum())
    assert f"of {readings:,} held-out readings" in page.html
    assert f"of {MACHINE.states}; " in page.html and f"of {view.counted_codes:,} that fire twice" in page.html
    for row in view.by_state.itertuples():
        if row.main:
            code = row.main.rsplit("/", 1)[1]
            assert f"code?model={CODED}&amp;site=L0.mlp&amp;code={code}" in page.html


def test_the_state_table_sorts_by_a_column_of_the_address(open_page):  # noqa: F811
    page = open_page("states", model=CODED, site="L0.mlp", sort="readings", down=1)
    shown = re.findall(r'title="its successors"[^>]*><span class="mono">(\w+)', page.html)
    expected = (
        resources.explorer().states(CODED, "L0.mlp").by_state.sort_values("readings", ascending=False, kind="stable")
    )
    assert shown == list(expected["state"])


def test_the_transitions_view_lists_every_mistake_with_its_count(open_page):  # noqa: F811
    page = open_page("states", model=CODED, site="L0.attn.h0", view="transitions", state="02")
    table = resources.explorer().states(CODED, "L0.attn.h0").transitions
    wrong = table[table["verdict"] != "right"]
    assert page.html.count("✚ mistake") == (wrong["verdict"] == "mistake").sum()
    assert page.html.count("◆ missed") == (wrong["verdict"] == "missed").sum()
    assert "Successors of 02" in page.html


def test_a_model_without_codebooks_is_explained_with_a_way_on(open_page):  # noqa: F811
    page = open_page("states", model=PLAIN)
    assert "is a plain model without codebooks" in page.html and f"states?model={CODED}" in page.html


def test_a_model_that_is_no_machine_is_explained(tmp_path, monkeypatch, open_page):  # noqa: F811
    tiny_store.make(tmp_path, items=30)
    monkeypatch.setenv(DATA_DIR_VARIABLE, str(tmp_path))
    st.cache_resource.clear()
    page = open_page("states", model=MODEL)
    assert "cannot be shown as a finite-state machine" in page.html and "No model here can" in page.html


@pytest.mark.parametrize(
    "nonsense",
    [
        {"site": "L9.mlp"},
        {"view": "<b>"},
        {"view": "transitions", "state": "99"},
        {"sort": "DROP"},
        {"view": "believe", "target": "77"},
        {"view": "believe", "at": "900"},
        {"view": "believe", "strength": "very"},
        {"view": "believe", "strength": "-4"},
        {"view": "believe", "walk": "hello"},
        {"view": "believe", "walk": "012"},
        {"view": "believe", "walk": "01 " * 600},
        {"view": "believe", "place": "nowhere", "layer": "7"},
        {"view": "believe", "item": "-3", "samples": "0"},
    ],
)
def test_nonsense_in_the_address_is_explained(open_page, nonsense):  # noqa: F811
    page = open_page("states", model=CODED, **nonsense)
    assert "should not have" not in page.html and "<b>" not in str(page.test.warning)
    assert (
        page.test.warning or 'class="problem"' in page.html or "Shown instead" in page.html or nonsense.get("strength")
    )


def test_reading_pages_of_a_machine_load_no_torch():
    source = (
        "import sys; import app.states.states, app.states.believing, app.steer.steering, "
        "app.steer.steer_panels, app.states.machine_charts;"
        "assert not {'torch', 'duckdb.torch', 'transformers'} & set(sys.modules), 'torch was imported'"
    )
    import subprocess

    done = subprocess.run(
        [sys.executable, "-c", source], capture_output=True, text=True, cwd=tiny_store.SCHEMA.parents[2]
    )
    assert done.returncode == 0, done.stderr


# ---- make it believe


def test_a_walk_of_the_build_is_cut_to_whole_states(explorer):
    text = explorer.item(CODED, 3).text
    walk = believing.own_walk(explorer, MACHINE, CODED, 3)
    assert walk == " ".join(text.replace("<bos>", "").split()[:8])
    assert believing.states_of(MACHINE, "012") == ["01"] and believing.states_of(MACHINE, "x") == []


def test_the_proposed_target_shares_as_few_successors_with_a_as_can_be():
    for state in range(MACHINE.states):
        name = MACHINE.name(state)
        target = int(believing.far_target(MACHINE, name), MACHINE.base)
        shared = [len(set(MACHINE.successors[state]) & set(row)) for row in MACHINE.successors]
        assert target != state and shared[target] == min(s for i, s in enumerate(shared) if i != state)


def test_the_page_shows_the_divergence_that_the_model_gives(open_page, explorer):  # noqa: F811
    page = open_page("states", model=CODED, view="believe", item=2)
    walk = believing.own_walk(explorer, MACHINE, CODED, 2)
    target = believing.far_target(MACHINE, walk.split()[-1])
    found = explorer.live(CODED).believe(walk, target, at=7)
    assert f"<b>{found.normalized:.3f}</b>" in page.html and f"<b>{found.token_normalized:.3f}</b>" in page.html
    assert all(str(control)[:20] in page.html for control in found.controls["control"])
    link = re.search(r'href="(steer\?[^"]*edit=[^"]+)"', page.html)
    assert link is not None and link[1].count("edit=") == len(found.edits)
    b = int(found.continued["valid_from_target"].sum())
    assert f"{b} of {len(found.continued)}" in page.html


def test_bars_keep_every_successor_of_a_and_of_b(explorer):
    found = explorer.live(CODED).believe("01 02", "10")
    panels = machine_charts.expected(found.next, found.actual, found.target)
    drawn = (
        set(panels[0].layer[0].data["state"])
        if panels[0].layer[0].data is not machine_charts.alt.Undefined
        else set(panels[0].data["state"])
    )
    marked = found.next[found.next["from_actual"] | found.next["from_target"]]
    assert len(panels) == 3 and set(marked["state"]) <= drawn


def test_a_slow_model_is_run_only_when_asked(open_page):  # noqa: F811
    pace = Pace.of(CODED)
    pace._runs = [(30.0, 1.0)]
    page = open_page("states", model=CODED, view="believe")
    assert any(b.label.startswith("Run (about") for b in page.test.button) and "How far it believes" not in page.html
    page = open_page("states", model=CODED, view="believe", run=1)
    assert "How far it believes" in page.html


def test_a_missed_second_digit_is_counted_and_explained_by_what_is_held(explorer):
    walk = believing.own_walk(explorer, MACHINE, CODED, 2)
    target = believing.far_target(MACHINE, walk.split()[-1])
    found = explorer.live(CODED).believe(walk, target, at=7, hold=False, samples=40)
    successors = [MACHINE.name(s) for s in MACHINE.successors[int(target, MACHINE.base)]]
    texts = [text.replace(" ", "") for text in found.continued["text"]]
    count = sum(
        any(text[0] == name[0] for name in successors) and not any(text.startswith(name) for name in successors)
        for text in texts
    )
    assert believing.missed(found) == count > 0
    said = believing.why_missed(found, hold=False)
    assert f"In {count} of 40 samples" in said and "Hold edits it there too" in said
    held = explorer.live(CODED).believe(walk, target, at=7, samples=40)
    assert "after any first digit" in believing.why_missed(held, hold=True) or not believing.missed(held)
    assert (
        believing.why_missed(
            replace(found, continued=found.continued.assign(first=successors[0], valid_from_target=True)), False
        )
        == ""
    )
    early = explorer.live(CODED).believe(walk, target, at=2, samples=4)
    assert believing.missed(early) == 0, "what follows the walk does not follow B"


def test_the_page_explains_a_miss_and_offers_two_examples(open_page):  # noqa: F811
    page = open_page("states", model=CODED, view="believe", item=2, hold=0, samples=40)
    links = re.findall(r'href="(states\?[^"]*view=believe[^"]*)"', page.html)
    assert len(links) == 2 and "hold=0" in links[1] and "Hold edits it there too" in page.html
    address = {
        name: value for name, _, value in (part.partition("=") for part in links[1].split("?")[1].split("&amp;"))
    }
    shown = open_page("states", **{name: value.replace("+", " ") for name, value in address.items()})
    assert "How far it believes" in shown.html and 'class="problem"' not in shown.html


def test_an_earlier_belief_stays_greyed_until_the_new_one_is_asked_for(open_page):  # noqa: F811
    page = open_page("states", model=CODED, view="believe", samples=7, run=1)
    assert "of 7" in page.html
    Pace.of(CODED)._runs = [(30.0, 1.0)]
    [n for n in page.test.number_input if n.label == "Samples"][0].set_value(9).run()
    page.check()
    assert any(b.label.startswith("Run (about") for b in page.test.button)
    assert "Run asks again" in page.html and "of 7" in page.html and "of 9" not in page.html


def test_continuations_are_checked_in_words_and_not_in_colour_alone():
    frame = pd.DataFrame(
        {
            "text": ["01 02", "22 10", "0a 10"],
            "first": ["01", "22", "0a"],
            "valid_from_target": [True, False, False],
            "valid_from_actual": [True, True, False],
            "rest_valid": [1, 0, 1],
            "rest": [1, 1, 1],
        }
    )
    shown = str(believing.continuation_table(frame))
    assert "✓ B and A" in shown and "✓ A" in shown and "✗ neither" in shown and "✗ 0 of 1" in shown


def test_all_sites_can_be_shown(open_page):  # noqa: F811
    for site in SITES:
        assert "States and codes of" in open_page("states", model=CODED, site=site).html
