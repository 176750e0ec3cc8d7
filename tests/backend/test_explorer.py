"""The explorer's tables and examples against what the store was made from."""

from __future__ import annotations

import math
import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from backend import catalog
from backend.errors import BadInput, UnknownCode
from backend.explorer import Clause, Explorer, as_python, recording
from backend.types import CodeRef, ModelSpec
from tests.backend import tiny_store
from tests.backend.tiny_store import BUILD, MODEL, SITES, Truth


@pytest.fixture(scope="module")
def truth(tmp_path_factory: pytest.TempPathFactory) -> Truth:
    return tiny_store.make(tmp_path_factory.mktemp("explorer"))


@pytest.fixture(scope="module")
def explorer(truth: Truth) -> Explorer:
    return Explorer(truth.data_dir)


def test_models_and_codebooks_are_counted(truth: Truth, explorer: Explorer) -> None:
    row = explorer.models().set_index("model").loc[MODEL]
    assert (row["built"], row["items"], row["positions"], row["kind"]) == (BUILD, 40, len(truth.tokens), "text")
    assert row["activations"] == sum((grid >= 0).sum() for grid in truth.grids.values())
    table = explorer.codebooks(MODEL).set_index("site")
    assert list(table.index) == [site for site, _, _ in SITES]
    for site, size, _ in SITES:
        grid = truth.grids[site]
        counts = np.bincount(grid[grid >= 0], minlength=size)
        p = counts[counts > 0] / counts.sum()
        one = table.loc[site]
        assert (one["alive"], one["dead"], one["activations"]) == (
            (counts > 0).sum(),
            (counts == 0).sum(),
            counts.sum(),
        )
        assert one["entropy_bits"] == pytest.approx(-(p * np.log2(p)).sum())
        assert one["perplexity"] == pytest.approx(2 ** -(p * np.log2(p)).sum())
        assert one["rare"] == ((counts >= 1) & (counts <= 4)).sum()
        codes = explorer.codes(MODEL, site)
        assert codes["count"].tolist() == counts.tolist()
        assert codes["rank"].tolist() == [1 + (counts > c).sum() for c in counts]
        assert codes["x"].isna().tolist() == (counts == 0).tolist()


def test_one_code_has_its_denominators_and_newest_label(truth: Truth, explorer: Explorer) -> None:
    ref = truth.ref("L0.mlp", 11)
    explorer.people.add_label(ref, "der")
    stats = explorer.code(ref)
    assert (stats.count, stats.positions, stats.total_items) == (len(truth.fires("L0.mlp", 11)), len(truth.tokens), 40)
    assert stats.share == pytest.approx(stats.count / stats.positions)
    assert stats.vector.tolist() == [11.0] * 4 and stats.label == "der" and stats.info.num_codes == 12


@pytest.mark.parametrize("half", [None, 0, 1])
@pytest.mark.parametrize("site", ["L0.mlp", "L1.attn/h0"])
def test_top_and_boundary_examples_are_the_extremes(
    truth: Truth, explorer: Explorer, site: str, half: int | None
) -> None:
    grid = truth.grids[site]
    where = [(p, s) for p, s in zip(*np.nonzero(grid == 1), strict=True) if half is None or truth.half_of[p] == half]
    for how, key in (
        ("top", lambda ps: (-truth.scores[site][ps], ps)),
        ("boundary", lambda ps: (truth.margins[site][ps], ps)),
    ):
        expected = sorted(where, key=key)[:7]
        found = explorer.examples(truth.ref(site, 1), how, 7, half=half)  # type: ignore[arg-type]
        assert [(e.pos, e.slot) for e in found] == expected
        assert [e.score for e in found] == pytest.approx([truth.scores[site][ps] for ps in expected])
        assert [e.margin for e in found] == pytest.approx([truth.margins[site][ps] for ps in expected])


def test_random_examples_are_seeded_and_uniform_over_all_activations(truth: Truth, explorer: Explorer) -> None:
    ref = truth.ref("L1.mlp", 2)
    fires = truth.fires("L1.mlp", 2)
    drawn: Counter[int] = Counter()
    for seed in range(120):
        found = [e.pos for e in explorer.examples(ref, "random", 5, seed=seed, context=0)]
        assert len(set(found)) == 5
        drawn.update(found)
    assert set(drawn) == set(fires.tolist())
    mean = 120 * 5 / len(fires)
    chi_square = sum((drawn[p] - mean) ** 2 / mean for p in fires)
    assert chi_square < len(fires) + 5 * math.sqrt(2 * len(fires))
    again = [e.pos for e in explorer.examples(ref, "random", 5, seed=3)]
    assert again == [e.pos for e in Explorer(truth.data_dir).examples(ref, "random", 5, seed=3)]


def test_a_context_is_the_exact_text_of_its_item(truth: Truth, explorer: Explorer) -> None:
    for example in explorer.examples(truth.ref("L0.mlp", 0), "random", 30, context=3):
        tokens = [*example.before, example.token, *example.after]
        begin, end = truth.tokens[tokens[0].pos], truth.tokens[tokens[-1].pos]
        start = 0 if tokens[0].place == 0 else truth.tokens[tokens[0].pos - 1][4]
        assert "".join(t.gap + t.text for t in tokens) == truth.texts[example.item][start : end[4]]
        assert begin[1] == end[1] == example.item
        assert len(example.before) == min(3, example.place)
        assert len(example.after) == min(3, truth.lengths[example.item] - 1 - example.place)
        for token in tokens:
            assert token.fires == (token.pos in truth.fires("L0.mlp", 0))
            assert math.isnan(token.score) != token.fires
            assert dict(token.labels) == {f: v for f, v, p in truth.labels if p == token.pos}


def test_an_item_and_what_fires_in_it(truth: Truth, explorer: Explorer) -> None:
    view = explorer.item(MODEL, 5)
    assert view.text == truth.texts[5] and view.half == truth.halves[5] and view.tags == {"n": "1"}
    assert view.shape == (truth.lengths[5],) and [t.text for t in view.tokens] == [
        t[5] for t in truth.tokens if t[1] == 5
    ]
    codes = explorer.codes_of_item(MODEL, 5, ["L1.attn/h0"])
    grid = truth.grids["L1.attn/h0"][view.first_pos : view.first_pos + len(view.tokens)]
    expected = [(p, s, grid[p, s]) for p in range(len(grid)) for s in range(3) if grid[p, s] >= 0]
    assert list(zip(codes["place"], codes["slot"], codes["code"], strict=True)) == expected
    at = explorer.codes_at(MODEL, view.first_pos)
    assert at["ref"].tolist() == [
        truth.ref(site, code) for site, _, _ in SITES for code in truth.grids[site][view.first_pos] if code >= 0
    ]


def test_tokens_and_labels_under_a_code(truth: Truth, explorer: Explorer) -> None:
    fires = truth.fires("L1.attn/h0", 0)
    tokens = explorer.tokens_of(truth.ref("L1.attn/h0", 0), 100)
    counted = Counter(truth.tokens[p][5] for p in fires)
    assert dict(zip(tokens["token"], tokens["count"], strict=True)) == counted
    assert tokens["share"].sum() == pytest.approx(1)
    labels = explorer.labels_of(truth.ref("L1.attn/h0", 0), 100)
    totals = Counter((f, v) for f, v, _ in truth.labels)
    hits = Counter((f, v) for f, v, p in truth.labels if p in set(fires.tolist()))
    assert {(r.field, r.value): r.count_ for r in labels.rename(columns={"count": "count_"}).itertuples()} == hits
    for row in labels.to_dict("records"):
        assert row["total"] == totals[row["field"], row["value"]]
        assert row["precision"] == pytest.approx(row["count"] / len(fires))
        assert row["recall"] == pytest.approx(row["count"] / row["total"])


@pytest.mark.parametrize("half", [None, 0, 1])
def test_the_label_matrix_counts_exactly(truth: Truth, explorer: Explorer, half: int | None) -> None:
    for site in ("L0.mlp", "L1.attn/h0"):
        expected = Counter(
            (value, int(code))
            for field, value, pos in truth.labels
            if field == "word" and (half is None or truth.half_of[pos] == half)
            for code in truth.grids[site][pos]
            if code >= 0
        )
        found = explorer.label_matrix(MODEL, site, "word", half)
        assert dict(zip(zip(found["value"], found["code"], strict=True), found["count"], strict=True)) == expected
        mask = np.ones(len(truth.tokens), bool) if half is None else truth.half_of == half
        totals = explorer.code_totals(MODEL, site, half)
        kept = truth.grids[site][mask]
        assert dict(zip(totals["code"], totals["count"], strict=True)) == Counter(kept[kept >= 0].tolist())
    fields = explorer.label_fields(MODEL).set_index("field")
    assert fields.loc["even", "values"] == 2 and fields.loc["even", "positions"] == len(truth.tokens)


def test_alike_codes_are_those_of_other_codebooks_by_jaccard(truth: Truth, explorer: Explorer) -> None:
    mine = set(truth.fires("L0.mlp", 11).tolist())
    by_hand = {}
    for site, size, _ in SITES[1:]:
        for code in range(size):
            other = set(truth.fires(site, code).tolist())
            if mine & other:
                by_hand[truth.ref(site, code)] = len(mine & other) / len(mine | other)
    found = explorer.alike(truth.ref("L0.mlp", 11), 1000)
    assert dict(zip(found["ref"], found["jaccard"], strict=True)) == pytest.approx(by_hand)
    assert found["jaccard"].is_monotonic_decreasing


def test_neighbours_and_codes_together_are_read_in_order(truth: Truth, explorer: Explorer) -> None:
    assert explorer.neighbours(truth.ref("L0.mlp", 0), 2)["ref"].tolist() == [truth.ref("L0.mlp", c) for c in (1, 2)]
    together = explorer.together(truth.ref("L0.mlp", 0))
    assert together["ref"].tolist() == [truth.ref("L1.attn/h0", c) for c in range(3)]
    assert together["pmi"].tolist() == [2.0, 1.0, 0.0]
    assert len(explorer.neighbours(truth.ref("L0.mlp", 10))) == 0, "a code without neighbours has an empty table"


def test_boolean_queries_count_exactly(truth: Truth, explorer: Explorer) -> None:
    a = set(truth.fires("L0.mlp", 0).tolist())
    b = set(truth.fires("L1.attn/h0", 1).tolist())
    item = {t[0]: t[1] for t in truth.tokens}
    then = {p for p in a if any(p + d in b and item[p + d] == item[p] for d in (1, 2, 3))}
    labelled = {p for f, v, p in truth.labels if (f, v) == ("even", "True")}
    first = Clause("L0.mlp", 0)
    for clauses, expected in (
        ([first], a),
        ([first, Clause("L1.attn/h0", 1)], a & b),
        ([first, Clause("L1.attn/h0", 1, "and not")], a - b),
        ([first, Clause("L1.attn/h0", 1, "then", 3)], then),
        (
            [first, Clause("L1.attn/h0", 1, "then", 3), Clause("L1.mlp", 0, "and not")],
            then - set(truth.fires("L1.mlp", 0)),
        ),
    ):
        result = explorer.query(MODEL, clauses, n=4, context=2)
        assert result.count == len(expected) == result.steps["count"].iloc[-1]
        assert result.items == len({item[p] for p in expected})
        assert result.held_out == sum(truth.half_of[list(expected)] == 1)
        assert {e.pos for e in result.examples} <= expected and len(result.examples) == min(4, len(expected))
        restricted = explorer.query(MODEL, clauses, field="even", value="True")
        assert restricted.count == len(expected & labelled)
    matching = {t[0] for t in truth.tokens if "a" in t[5]}
    assert explorer.query(MODEL, [first], pattern="(a)").count == len(a & matching)


def test_nonsense_is_explained(truth: Truth, explorer: Explorer) -> None:
    with pytest.raises(UnknownCode, match="from 0 to 11"):
        explorer.code(truth.ref("L0.mlp", 12))
    with pytest.raises(UnknownCode, match=r"L0\.mlp, L1\.attn/h0, L1\.mlp"):
        explorer.examples(CodeRef(MODEL, "L7", 0))
    for call in (
        lambda: explorer.examples(truth.ref("L0.mlp", 0), "best"),  # type: ignore[arg-type]
        lambda: explorer.examples(truth.ref("L0.mlp", 0), n=0),
        lambda: explorer.examples(truth.ref("L0.mlp", 0), context=10**9),
        lambda: explorer.item(MODEL, 40),
        lambda: explorer.context(MODEL, -1),
        lambda: explorer.context(MODEL, len(truth.tokens)),
        lambda: explorer.query(MODEL, []),
        lambda: explorer.query(MODEL, [Clause("L0.mlp", 0), Clause("L0.mlp", 1, "or")]),  # type: ignore[arg-type]
        lambda: explorer.query(MODEL, [Clause("L0.mlp", 0), Clause("L0.mlp", 1, "then", 0)]),
        lambda: explorer.label_matrix(MODEL, "L0.mlp", "colour"),
    ):
        with pytest.raises(BadInput):
            call()


def test_a_dead_code_has_empty_answers(truth: Truth, explorer: Explorer) -> None:
    dead = truth.ref("L0.mlp", 10)
    assert explorer.code(dead).count == 0
    assert explorer.examples(dead) == []
    for table in (explorer.tokens_of(dead), explorer.labels_of(dead), explorer.alike(dead)):
        assert len(table) == 0


def test_measured_edits_are_read_from_the_card_and_what_is_none_is_left_out(tmp_path: Path) -> None:
    spec = ModelSpec("mine", "transformer", "text", "Mine", {"name": "stories"}, "checkpoints/mine")
    catalog.write_spec(spec, tmp_path)
    explorer, card = Explorer(tmp_path), tmp_path / "checkpoints" / "mine" / "card.json"
    assert explorer.measured_edits("mine") == explorer.measured_edits("unknown") == {}
    card.parent.mkdir(parents=True)
    for broken in ("{", "[1]", "{}", '{"edits": {"topic=sea": ["no edit"]}}', '{"edits": 3}'):
        card.write_text(broken)
        assert explorer.measured_edits("mine") == {}
    card.write_text('{"edits": {"topic=sea": ["L0.mlp:3:+0.20@generated:9"]}}')
    assert explorer.measured_edits("mine") == {"topic=sea": ("L0.mlp:3:+0.2@generated:9",)}


def test_calls_are_recorded_with_their_rows_and_can_be_made_again(truth: Truth, explorer: Explorer) -> None:
    ref = truth.ref("L0.mlp", 11)
    with recording() as calls:
        examples = explorer.examples(ref, "top", n=3)
        explorer.search(MODEL, r"[dD](er)\b", sites=["L0.mlp"])
        explorer.query(MODEL, [Clause("L0.mlp", 0)], n=0)
    explorer.codebooks(MODEL)
    assert [call.name for call in calls] == ["examples", "search", "query"]
    assert all(call.seconds > 0 and call.rows > 0 for call in calls)
    scope = {"explorer": explorer, "CodeRef": CodeRef, "Clause": Clause}
    assert [e.pos for e in eval(as_python(calls[0]), scope)] == [e.pos for e in examples]
    assert eval(as_python(calls[1]), scope).matches > 0
    assert eval(as_python(calls[2]), scope).count > 0


def test_reading_needs_neither_torch_nor_a_page_framework() -> None:
    code = "import sys, backend.explorer; print([m for m in ('torch', 'streamlit', 'gradio') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
