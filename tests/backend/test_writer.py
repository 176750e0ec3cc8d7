"""The store's tables against the model's own answers, and its arithmetic against brute force."""

from __future__ import annotations

import itertools
from collections import Counter, defaultdict

import duckdb
import numpy as np
import pytest

from backend.analysis.neighbours import count_together, nearest_rows
from backend.analysis.projection import pca
from backend.analysis.usage import count_usage
from backend.build.checks import check_store
from backend.build.shards import ShardBuilder, is_whole, read_table
from backend.build.writer import half_of
from backend.errors import BuildError, CheckFailed, ShardError
from backend.types import Encoded
from tests.backend.toy_builds import build_toy
from tests.backend.toy_family import SPEC, ToyFamily, prepare

ITEMS = 60


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    """A built toy."""
    return build_toy(prepare(tmp_path_factory.mktemp("writer")))


@pytest.fixture
def store(report):
    """Its store, open for reading."""
    with duckdb.connect(str(report.store), read_only=True) as connection:
        yield connection


@pytest.fixture(scope="module")
def truth():
    """Items and one forward pass over all of them, from the family itself."""
    family = ToyFamily(SPEC)
    items = family.items(0, ITEMS, 0)
    return family, items, family.encode(items, neurons=True)


def activations(truth):
    """Every activation as (pos, site_id, slot, code, score, margin, runner_up), in order of position."""
    family, _, encoded = truth
    for pos in range(len(encoded.neurons["L0.mlp"])):
        for site_id, info in enumerate(family.codebooks()):
            grid = encoded.grids[info.site]
            for slot, code in enumerate(grid.codes[pos].tolist()):
                if code >= 0:
                    score, runner = grid.scores[pos, slot], grid.runner_up_score[pos]
                    yield pos, site_id, slot, code, score, score - runner, int(grid.runner_up[pos])


def test_the_grid_holds_every_activation_in_order_of_position(store, truth):
    expected = list(activations(truth))
    found = store.execute("FROM grid").fetchall()
    assert [row[:4] + row[6:] for row in found] == [row[:4] + row[6:] for row in expected]
    np.testing.assert_allclose([r[4:6] for r in found], [r[4:6] for r in expected], rtol=1e-5, atol=1e-5)


def test_the_postings_are_the_same_in_order_of_code(store, truth):
    expected = sorted((site, code, pos, slot) for pos, site, slot, code, *_ in activations(truth))
    assert [row[:4] for row in store.execute("FROM postings").fetchall()] == expected
    assert store.execute("SELECT score, margin FROM postings ORDER BY ALL").fetchall() == (
        store.execute("SELECT score, margin FROM grid ORDER BY ALL").fetchall()
    )


def test_usage_and_entropy_equal_a_count_by_hand(store, truth):
    family, items, _ = truth
    item_of = np.repeat(np.arange(ITEMS), [item.positions for item in items])
    token_of = np.concatenate([item.payload for item in items])
    seen = defaultdict(list)
    for pos, site, _, code, *_ in activations(truth):
        seen[site, code].append(pos)
    rows = store.execute("SELECT site_id, code, count, items, share, entropy FROM codes").fetchall()
    assert len(rows) == sum(info.num_codes for info in family.codebooks())
    for site, code, count, in_items, share, entropy in rows:
        places = seen.get((site, code), [])
        chances = np.array(list(Counter(token_of[places].tolist()).values())) / max(len(places), 1)
        assert count == len(places)
        assert in_items == len(set(item_of[places].tolist()))
        assert share == pytest.approx(count / len(token_of))
        assert entropy == pytest.approx(float(-(chances * np.log2(chances)).sum()), abs=1e-9)


def test_cooccurrence_equals_a_count_of_all_pairs(store, truth):
    per_position, counts = defaultdict(list), Counter()
    for pos, site, _, code, *_ in activations(truth):
        per_position[pos].append((site, code))
        counts[site, code] += 1
    pairs = Counter(pair for codes in per_position.values() for pair in itertools.permutations(codes, 2))
    positions = len(per_position)
    best = defaultdict(list)
    for (code, other), together in pairs.items():
        if together >= 5:
            pmi = np.log2(together * positions / counts[code] / counts[other])
            best[code].append((-pmi, -together, other))
    found = defaultdict(list)
    for site, code, other_site, other, together, pmi in store.execute("FROM cooccurrence").fetchall():
        assert pairs[(site, code), (other_site, other)] == together
        found[site, code].append(-pmi)
    assert found.keys() == best.keys()
    for code, partners in best.items():
        np.testing.assert_allclose(found[code], [pmi for pmi, *_ in sorted(partners)[:20]], atol=1e-9)


def test_neighbours_are_the_nearest_live_codes_by_the_similarity_of_the_codebook(store, truth):
    family, _, _ = truth
    for site_id, info in enumerate(family.codebooks()):
        vectors = family.table(info.site).astype(float)
        table = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
        away = (
            np.linalg.norm(vectors[:, None] - vectors[None], axis=2)
            if info.similarity == "euclidean"
            else -table @ table.T
        )
        alive = [
            row[0]
            for row in store.execute("SELECT code FROM codes WHERE site_id = ? AND count > 0", [site_id]).fetchall()
        ]
        for code in alive:
            rows = store.execute(
                "SELECT neighbour, cosine FROM neighbours WHERE site_id = ? AND code = ? ORDER BY rank", [site_id, code]
            ).fetchall()
            others = [c for c in alive if c != code]
            expected = sorted(others, key=lambda c: away[code, c])[:20]
            assert [row[0] for row in rows] == expected
            assert rows[0][1] == pytest.approx(float(table[expected[0]] @ table[code]), abs=1e-5)


def test_items_tokens_and_labels_are_those_of_the_data_set(store, truth):
    _, items, _ = truth
    starts = np.cumsum([0] + [item.positions for item in items])
    rows = store.execute("SELECT item, first_pos, positions, shape, text FROM items").fetchall()
    assert rows == [(i.index, starts[n], i.positions, list(i.shape), i.text) for n, i in enumerate(items)]
    tokens = store.execute("SELECT pos, item, place, token_id FROM tokens").fetchall()
    assert tokens == [
        (starts[n] + place, n, place, token)
        for n, item in enumerate(items)
        for place, token in enumerate(item.payload.tolist())
    ]
    labels = store.execute("SELECT field, value, pos FROM labels JOIN fields USING (field_id)").fetchall()
    assert Counter(labels) == Counter(
        (field, value, starts[n] + place)
        for n, item in enumerate(items)
        for field, values in item.labels.items()
        for place, value in enumerate(values)
        if value
    )
    stored = store.execute("FROM labels").fetchall()
    assert stored == sorted(stored, key=lambda row: (row[0], row[1].encode(), row[2]))


def test_neurons_are_ranked_over_the_first_positions(store, truth):
    _, _, encoded = truth
    rows = store.execute("SELECT neuron, ranks FROM neurons ORDER BY neuron").fetchall()
    assert [row[0] for row in rows] == list(range(5))
    for neuron, blob in rows:
        ranks = np.frombuffer(blob, "<u2")
        values = encoded.neurons["L0.mlp"][: len(ranks), neuron]
        assert len(ranks) == 188
        np.testing.assert_array_equal(values[np.argsort(ranks)], np.sort(values))


def test_dead_codes_have_no_place_on_the_map_and_live_ones_do(store):
    dead, alive = (
        store.execute(f"SELECT count(*), count(x), count(pca_x) FROM codes WHERE count {sign} 0").fetchone()
        for sign in ("=", ">")
    )
    assert dead[0] > 0 and dead[1] == 0 and dead[2] == dead[0]
    assert alive[0] == alive[1] == alive[2]
    assert store.execute("SELECT projection FROM codebooks").fetchall() == [("pca",), ("pca",)]


def test_halves_are_whole_items_and_do_not_depend_on_the_number_of_items(store):
    halves = half_of(np.arange(10_000))
    assert 4_800 < halves.sum() < 5_200
    assert [row[0] for row in store.execute("SELECT half FROM items ORDER BY item").fetchall()] == halves[
        :ITEMS
    ].tolist()


@pytest.mark.parametrize(
    ("change", "names"),
    [
        ("DELETE FROM grid WHERE pos = 7", "grid"),
        ("UPDATE postings SET pos = pos + 1 WHERE site_id = 0 AND code = 1", "postings"),
        ("UPDATE grid SET score = score + 1 WHERE pos < 300 AND site_id = 0", "postings"),
        ("UPDATE codes SET count = count + 1 WHERE site_id = 0 AND code = 1", "codes"),
        ("UPDATE items SET text = 'x' || text", "text"),
        ("UPDATE tokens SET char_start = 0, char_end = 0", "regular expression"),
        ("UPDATE tokens SET token_id = 0", "tokens"),
    ],
)
def test_the_self_check_notices(report, tmp_path, truth, change, names):
    from backend.build.engines import Job
    from backend.build.shards import Shard

    copy = tmp_path / "copy.duckdb"
    copy.write_bytes(report.store.read_bytes())
    family, items, _ = truth
    job = Job(SPEC, tmp_path, tmp_path, 0, 4, 0)
    empty: dict = {}
    shards = [Shard(0, ITEMS, report.positions, report.activations, 0, (), 0, empty)]
    with duckdb.connect(str(copy)) as connection:
        check_store(connection, job, family, shards, lambda *_: None)
        connection.execute(change)
        with pytest.raises(CheckFailed, match=names):
            check_store(connection, job, family, shards, lambda *_: None)


def test_a_shard_file_that_changed_is_noticed(tmp_path, truth):
    family, items, encoded = truth
    builder = ShardBuilder(0, ITEMS, family.codebooks(), 0)
    builder.add(items, encoded)
    shard = builder.write(tmp_path)
    assert is_whole(shard, tmp_path)
    assert read_table(shard, "grid", tmp_path).num_rows == 4 * shard.positions
    path = tmp_path / shard.files["grid"].name
    path.write_bytes(path.read_bytes()[:-1])
    assert not is_whole(shard, tmp_path)
    with pytest.raises(ShardError, match="do not match the hash"):
        read_table(shard, "grid", tmp_path)
    path.unlink()
    with pytest.raises(ShardError, match="again"):
        read_table(shard, "grid", tmp_path)


def test_ids_out_of_range_and_missing_codebooks_are_refused(truth):
    family, items, encoded = truth
    builder = ShardBuilder(0, ITEMS, family.codebooks(), 0)
    with pytest.raises(BuildError, match="L1.attn.h0"):
        builder.add(items, Encoded({"L0.mlp": encoded.grids["L0.mlp"]}))
    grid = encoded.grids["L0.mlp"]
    wrong = type(grid)(grid.site, grid.codes + 100, grid.scores, grid.runner_up, grid.runner_up_score)
    with pytest.raises(BuildError, match="40 codes"):
        builder.add(items, Encoded({**encoded.grids, "L0.mlp": wrong}))


def test_repeated_codes_are_counted():
    usage = count_usage(np.array([0, 0, 0, 2]), np.array([1, 1, 3, 1]), 3, np.zeros(4, int), np.array([0, 1, 1, 2]))
    assert usage.repeated == 1
    assert usage.count.tolist() == [3, 0, 1]
    assert usage.items.tolist() == [1, 0, 1]


def test_few_rows_have_few_neighbours_and_ties_go_by_number():
    near = nearest_rows(np.array([[1, 0], [2, 0], [3, 0], [-1, 0]]), 9)
    assert near.neighbour.tolist() == [1, 2, 3, 0, 2, 3, 0, 1, 3, 0, 1, 2]
    assert len(nearest_rows(np.zeros((1, 4)), 5).code) == 0


def test_nothing_fires_together_in_an_empty_codebook():
    none = count_together(
        np.zeros(0, int), np.zeros(0, int), np.zeros((4, 2), int), np.zeros(3), first=0, at_least=1, keep=2
    )
    assert len(none.code) == 0


def test_pca_finds_the_directions_of_most_variance_with_fixed_signs():
    points = np.array([[0, 0, 5], [0, 1, -5], [0, -1, 5], [0, 0, -5.0]])
    placed = pca(points)
    assert np.abs(placed[:, 0]).tolist() == pytest.approx([5] * 4, abs=0.2)
    np.testing.assert_array_equal(placed, pca(points.copy()))
    assert pca(np.ones((3, 1))).tolist() == [[0, 0]] * 3
