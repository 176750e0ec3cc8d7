"""Reading what the real build wrote: the answers agree with the family that was encoded."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from backend.build.precompute import build
from backend.explorer import Explorer
from backend.types import CodeRef
from tests.backend.toy_family import LIMITS, SPEC, ToyFamily, open_toy, prepare


@pytest.fixture(scope="module")
def explorer(tmp_path_factory: pytest.TempPathFactory) -> Explorer:
    data_dir: Path = tmp_path_factory.mktemp("build")
    prepare(data_dir)
    build(SPEC.name, data_dir, items=30, open_family=open_toy, limits=LIMITS, projection="pca")
    return Explorer(data_dir)


def test_a_built_store_answers_as_the_family_encodes(explorer: Explorer) -> None:
    family = ToyFamily(SPEC)
    items = family.items(0, 30, 0)
    encoded = family.encode(items)
    row = explorer.models().set_index("model").loc[SPEC.name]
    assert row["items"] == 30 and row["positions"] == sum(item.positions for item in items) and row["problem"] == ""
    for info in family.codebooks():
        codes = encoded.grids[info.site].codes
        counts = np.bincount(codes[codes >= 0], minlength=info.num_codes)
        assert explorer.codes(SPEC.name, info.site)["count"].tolist() == counts.tolist()
        assert explorer.code_totals(SPEC.name, info.site)["count"].sum() == counts.sum()
        ref = CodeRef(SPEC.name, info.site, int(counts.argmax()))
        fires = np.flatnonzero((codes == ref.code).any(axis=1))
        found = explorer.examples(ref, "random", 1000, context=0)
        assert sorted(e.pos for e in found) == fires.tolist()
        scores = encoded.grids[info.site].scores
        assert max(e.score for e in found) == pytest.approx(scores[codes == ref.code].max(), rel=1e-5)
        assert len(explorer.neighbours(ref)) and len(explorer.tokens_of(ref)) and len(explorer.labels_of(ref))
        explorer.together(ref), explorer.alike(ref)
    for item in items:
        view = explorer.item(SPEC.name, item.index)
        assert view.text == item.text
        assert [t.text for t in view.tokens] == [item.text[a:b] for a, b in item.spans]
    first = np.cumsum([0, *(item.positions for item in items)])
    expected = [
        start + int(np.flatnonzero(item.spans[:, 0] <= at)[-1])
        for start, item in zip(first, items, strict=False)
        for at in range(len(item.text))
        if item.text.startswith("cat", at)
    ]
    result = explorer.search(SPEC.name, "(c)at", min_support=1)
    assert result.matches == len(expected) > 0
    assert result.neuron_positions > 0 and (result.codes["neuron"][:3] != "").all()
    assert 0 < result.codes["precision"][0] <= 1


def test_the_build_that_answers_is_known_without_opening_it(
    explorer: Explorer, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = explorer.reader(SPEC.name).build
    fresh = Explorer(explorer.data_dir)

    def opened(*_: object) -> None:
        raise AssertionError("the store was opened")

    monkeypatch.setattr("backend.store.reader.Reader", opened)
    assert fresh.build(SPEC.name) == known
    with pytest.raises(AssertionError, match="opened"):
        fresh.facts(SPEC.name)


def test_a_newest_build_that_cannot_be_read_does_not_answer(explorer: Explorer, tmp_path: Path) -> None:
    good = explorer.reader(SPEC.name).path
    builds = tmp_path / "builds"
    builds.mkdir()
    (builds / good.name).write_bytes(good.read_bytes())
    (builds / f"{SPEC.name}.29990101T000000-0123abcd.duckdb").write_bytes(b"nonsense")
    fresh = Explorer(tmp_path)
    fresh.facts(SPEC.name)
    assert fresh.build(SPEC.name) == fresh.reader(SPEC.name).build == explorer.build(SPEC.name)
