"""Search against a brute force in plain Python: every figure of every code, for many patterns over Unicode texts."""

from __future__ import annotations

import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backend.analysis.intervals import wilson
from backend.analysis.marking import marking
from backend.analysis.patterns import compile_pattern
from backend.errors import BadInput, BadPattern, UnknownCode
from backend.explorer import MAX_PATTERN, Explorer
from backend.questions.patterns import matching_positions
from tests.backend import tiny_store
from tests.backend.tiny_store import MODEL, SITES, Truth


@pytest.fixture(scope="module")
def truth(tmp_path_factory: pytest.TempPathFactory) -> Truth:
    return tiny_store.make(tmp_path_factory.mktemp("search"))


@pytest.fixture(scope="module")
def explorer(truth: Truth) -> Explorer:
    return Explorer(truth.data_dir)


def brute_force(truth: Truth, pattern: str) -> tuple[list[int], int]:
    """Positions that match, by Python's own engine, character by character; and the matches that belong to no token."""
    compiled, found, unplaced = re.compile(pattern, re.ASCII), set(), 0
    for item, text in enumerate(truth.texts):
        for match in compiled.finditer(text):
            group = 1 if compiled.groups else 0
            at = match.start(group)
            holders = [t[0] for t in truth.tokens if t[1] == item and t[3] <= at < t[4]]
            if match.end(group) > at and holders:
                found.add(holders[0])
            else:
                unplaced += 1
    return sorted(found), unplaced


PATTERNS = [
    "der",
    "[dD](er)",
    r"\b(der)\b",
    "(?i)der",
    "(?i)(DER) ",
    "(d)|(D)er",  # group 1 takes no part in some matches
    "a(b?)",  # group 1 is empty in some matches
    r"(\w+) +(\w+)",
    r"(?:x(1)|(4)2)",
    r"(a)(b)",
    r"((a)b)",
    "a+(b)*",
    r"[](d]e",
    r"\S(\s+)\S",  # mostly between tokens
    "ö(ß)",
    "日(本)",
    "🙂.",
    "e\u0301",
    r"\t",
    "<b>",
    "[^a-z ]",
    "ß|本|🙂",
    r"\x{65e5}".replace(r"\x{65e5}", "日"),
    "(..)",
    r"fin\.(.)",
]


@pytest.mark.parametrize("pattern", PATTERNS)
def test_positions_equal_those_of_a_brute_force(truth: Truth, explorer: Explorer, pattern: str) -> None:
    matches = matching_positions(explorer.reader(MODEL), compile_pattern(pattern))
    assert (matches.positions.tolist(), matches.unplaced) == brute_force(truth, pattern)


pieces = st.sampled_from(
    ["d", "e", "r", "ö", "ß", "日", "🙂", " ", ".", "x1", "[a-e]", "[^a]", r"\w", r"\s", r"\b", "é"]
)


@st.composite
def patterns(draw: st.DrawFn) -> str:
    """Small expressions in the syntax that Python and RE2 read alike."""
    text = ""
    for _ in range(draw(st.integers(1, 4))):
        piece = draw(pieces)
        form = draw(st.sampled_from(["{}", "{}", "({})", "(?:{})", "({}|a)", "{}|b"]))
        text += form.format(piece) + (draw(st.sampled_from(["", "", "+", "?", "{1,2}"])) if piece != r"\b" else "")
    return text


@settings(max_examples=150, deadline=None)
@given(pattern=patterns())
def test_any_pattern_matches_where_python_says_it_does(truth: Truth, explorer: Explorer, pattern: str) -> None:
    try:
        compiled = compile_pattern(pattern)
        matches = matching_positions(explorer.reader(MODEL), compiled)
    except BadPattern as error:
        assert "empty string" in str(error)
        assert any(m.start() == m.end() for m in re.finditer(pattern, "a b1 .x ä", re.ASCII)) or any(
            m.start() == m.end() for text in truth.texts for m in re.finditer(pattern, text, re.ASCII)
        )
        return
    assert (matches.positions.tolist(), matches.unplaced) == brute_force(truth, pattern)


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("a(b)c", ("(a)(b)(c)", r"\1<\2>\3")),
        ("(?i)a(b(c))(d)", ("(?i)(a)(b(c))((d))", r"\1<\2>\4")),
        (r"[(](?:x)(?P<n>b)\)", (r"([(](?:x))(b)(\))", r"\1<\2>\3")),
        ("a|(b)", None),
        ("(a)+", None),
        ("(?:a(b))", None),
        (r"\Q(\E(a)", None),
        ("a(?i)(b)", None),
    ],
)
def test_only_patterns_with_a_plain_first_group_are_marked(pattern: str, expected: tuple[str, str] | None) -> None:
    assert marking(pattern, re.compile(pattern.replace("(?i)", "").replace(r"\Q(\E", "")).groups, "<>") == expected


@pytest.mark.parametrize("half", [None, 1])
@pytest.mark.parametrize("pattern", ["[dD](er)", "a", "日|ß", r"\d"])
def test_every_figure_equals_a_brute_force(truth: Truth, explorer: Explorer, pattern: str, half: int | None) -> None:
    positions, _ = brute_force(truth, pattern)
    mask = np.ones(len(truth.tokens), bool) if half is None else truth.half_of == half
    positions = [p for p in positions if mask[p]]
    result = explorer.search(MODEL, pattern, min_support=1, limit=1000, baselines=0)
    assert (result.matches if half is None else result.matches_held_out) == len(positions)
    seen = set()
    prefix = "" if half is None else "held_out_"
    for row in result.codes.to_dict("records"):
        fires = set(truth.fires(row["site"], row["code"])[mask[truth.fires(row["site"], row["code"])]].tolist())
        hits = len(fires & set(positions))
        seen.add((row["site"], row["code"]))
        assert row[f"{prefix}hits"] == hits
        assert row[f"{prefix}count"] == len(fires)
        assert row[f"{prefix}precision"] == pytest.approx(hits / len(fires) if fires else np.nan, nan_ok=True)
        assert row[f"{prefix}recall"] == pytest.approx(hits / len(positions) if positions else np.nan, nan_ok=True)
    everywhere, _ = brute_force(truth, pattern)
    assert seen == {
        (site, code)
        for site, size, _ in SITES
        for code in range(size)
        if set(truth.fires(site, code).tolist()) & set(everywhere)
    }


def test_the_code_that_was_planted_wins_with_its_intervals_and_the_planted_neuron_beside_it(
    truth: Truth, explorer: Explorer
) -> None:
    result = explorer.search(MODEL, "[dD](er)")
    best = result.codes.iloc[0]
    assert best["ref"] == truth.ref("L0.mlp", 11)
    assert best["f1"] == pytest.approx(2 * best["precision"] * best["recall"] / (best["precision"] + best["recall"]))
    assert best["precision_low"] < best["precision"] <= best["precision_high"]
    assert result.codes["f1"].is_monotonic_decreasing
    assert (result.codes["hits"] >= 5).all()
    assert result.held_out is not None and result.held_out.ref == best["ref"]
    assert result.held_out.held_out_hits == best["held_out_hits"]
    inside = [p for p in brute_force(truth, "[dD](er)")[0] if p < tiny_store.NEURON_POSITIONS]
    need = int(np.ceil(best["recall"] * len(inside) - 1e-9))
    by_hand = {}
    for neuron, ranks in enumerate(truth.ranks["L0.mlp"]):
        thresholds = [t for t in range(len(ranks)) if (ranks[inside] >= t).sum() >= need]
        on = ranks >= max(thresholds)
        by_hand[neuron] = on[inside].sum() / on.sum()
    winner = max(by_hand, key=lambda n: by_hand[n])
    assert best["neuron"] == f"L0.mlp/{winner}"
    assert best["neuron_precision"] == pytest.approx(by_hand[winner])
    assert best["neuron_n"] == len(inside)


@pytest.mark.parametrize(("pattern", "support"), [("[dD](er)", 1), ("a", 3), (r"\d", 2)])
def test_held_out_codes_are_chosen_on_one_half_alone_and_measured_on_the_other(
    truth: Truth, explorer: Explorer, pattern: str, support: int
) -> None:
    matching = np.array(brute_force(truth, pattern)[0])
    halves = [matching[truth.half_of[matching] == half] for half in (0, 1)]
    expected = []
    for number, (site, size, _) in enumerate(SITES):
        for code in range(size):
            fires = np.unique(truth.fires(site, code))
            own = [fires[truth.half_of[fires] == half] for half in (0, 1)]
            hits = [len(np.intersect1d(own[half], halves[half])) for half in (0, 1)]
            if hits[0] >= support:
                f1 = 2 * hits[0] / (len(own[0]) + len(halves[0]))
                expected.append((-f1, -hits[0], number, code, site, hits[1], len(own[1])))
    expected.sort()
    result = explorer.search(MODEL, pattern, min_support=support, limit=7, held_out=True)
    assert result.candidates == len(expected) > 0
    rows = result.codes.to_dict("records")
    found = [(row["site"], row["code"], row["hits"], row["count"]) for row in rows]
    assert found == [(site, code, hits, count) for *_, code, site, hits, count in expected][:7]
    assert result.held_out is not None and result.held_out.ref == rows[0]["ref"]
    for row in rows:
        assert row["recall"] == pytest.approx(row["hits"] / len(halves[1]))
        reached = []
        for control in row["control"].split():
            fires = truth.fires(row["site"], int(control.rsplit("/", 1)[1]))
            fires = fires[truth.half_of[fires] == 1]
            reached += [len(np.intersect1d(fires, halves[1])) / len(fires)] if len(fires) else []
        assert row["control_precision"] == pytest.approx(np.mean(reached)) and row["controls"] == len(reached) > 1
        assert (row["control_low"], row["control_high"]) == (min(reached), max(reached))


def test_the_random_code_controls_are_other_live_codes_of_the_same_codebook_and_the_same_each_time(
    truth: Truth, explorer: Explorer
) -> None:
    first = explorer.search(MODEL, "a", min_support=1).codes
    again = Explorer(truth.data_dir).search(MODEL, "a", min_support=1).codes
    assert first["control"].tolist() == again["control"].tolist()
    positions = set(brute_force(truth, "a")[0])
    for row in first.to_dict("records"):
        site, reached = row["site"], []
        for control in row["control"].split():
            code = int(control.rsplit("/", 1)[1])
            assert control.startswith(f"{MODEL}/{site}/") and code != row["code"]
            fires = truth.fires(site, code)
            reached.append(len(positions & set(fires.tolist())) / len(fires))
        assert row["control_precision"] == pytest.approx(np.mean(reached))
        assert (row["control_low"], row["control_high"], row["controls"]) == (min(reached), max(reached), len(reached))


def test_a_label_alone_or_with_a_pattern_restricts_the_matches(truth: Truth, explorer: Explorer) -> None:
    labelled = {pos for field, value, pos in truth.labels if (field, value) == ("even", "True")}
    assert explorer.search(MODEL, "", field="even", value="True").matches == len(labelled)
    both = labelled & set(brute_force(truth, "a")[0])
    assert explorer.search(MODEL, "a", field="even", value="True").matches == len(both)
    assert explorer.search(MODEL, "", field="even", value="neither").matches == 0


def test_only_the_codebooks_asked_for_are_listed(explorer: Explorer) -> None:
    result = explorer.search(MODEL, "a", sites=["L1.mlp"], min_support=1, limit=3)
    assert set(result.codes["site"]) == {"L1.mlp"} and len(result.codes) == 3 < result.candidates


def test_a_pattern_that_matches_nothing_gives_an_empty_result(explorer: Explorer) -> None:
    result = explorer.search(MODEL, "nowhere to be found")
    assert (result.matches, len(result.codes), result.held_out) == (0, 0, None)
    assert {"ref", "precision_low", "held_out_recall", "control", "neuron"} <= set(result.codes.columns)


@pytest.mark.parametrize(
    ("pattern", "position", "says"),
    [
        ("", 0, "empty"),
        ("x" * (MAX_PATTERN + 1), MAX_PATTERN, "limit"),
        ("ab(c", 2, "read"),
        ("a[b", 1, "read"),
        (r"(a)\1", None, "read"),
        ("a(?=b)", None, "read"),
        ("a*", None, "empty string"),
        (r"\b", None, "empty string"),
        ("^", None, "empty string"),
        ("a|", None, "empty string"),
        ("\ud800", 0, "surrogate"),
        ("(((a{500}){500}){500})", None, "read"),
    ],
)
def test_a_pattern_that_cannot_be_used_is_explained(
    explorer: Explorer, pattern: str, position: int | None, says: str
) -> None:
    with pytest.raises(BadPattern, match=says) as caught:
        explorer.search(MODEL, pattern)
    if position is not None:
        assert caught.value.position == position


def test_a_pattern_made_to_blow_up_takes_linear_time(explorer: Explorer) -> None:
    assert explorer.search(MODEL, "(a|a|ab|b)+(a+)+x$").seconds < 1


def test_nonsense_in_the_other_arguments_is_refused(explorer: Explorer) -> None:
    with pytest.raises(UnknownCode, match=r"L1\.attn/h0"):
        explorer.search(MODEL, "a", sites=["L9"])
    with pytest.raises(BadInput, match="even, word"):
        explorer.search(MODEL, "a", field="colour", value="red")
    with pytest.raises(BadInput, match="both"):
        explorer.search(MODEL, "a", field="even")
    with pytest.raises(BadInput, match="order"):
        explorer.search(MODEL, "a", order="luck")  # type: ignore[arg-type]


def test_wilson_intervals_are_those_of_the_literature() -> None:
    # Newcombe 1998, table I: 81/263, 15/148, 0/20, 1/29
    low, high = wilson(np.array([81, 15, 0, 1]), np.array([263, 148, 20, 29]))
    assert low == pytest.approx([0.2553, 0.0624, 0.0, 0.0061], abs=5e-5)
    assert high == pytest.approx([0.3662, 0.1605, 0.1611, 0.1718], abs=5e-5)
    assert np.isnan(wilson(np.array([0]), np.array([0]))).all()
