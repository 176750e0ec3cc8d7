"""The store of an image tokenizer says what the model says, cell by cell, and answers questions about pictures exactly."""

from __future__ import annotations

import shutil

import duckdb
import numpy as np
import pytest

from backend.analysis.neighbours import nearest_rows
from backend.analysis.pixels import to_bytes
from backend.analysis.projection import pca
from backend.build.precompute import build
from backend.catalog.cards import read_card
from backend.data.datasets import open_images
from backend.errors import BadInput, CheckFailed, CheckpointError, UnknownCode, Unsupported
from backend.explorer import Explorer
from backend.families import open_family
from backend.types import CodeRef
from tests.backend import tiny_store
from tests.pages.image_models import CODES, CURVE, IMAGES, ITEMS, image_dir, make_images  # noqa: F401  (a fixture)

CELLS = 64
REF = CodeRef(IMAGES, "vq", 5)


@pytest.fixture(scope="module")
def explorer(image_dir):  # noqa: F811
    return Explorer(image_dir)


@pytest.fixture(scope="module")
def family(image_dir):  # noqa: F811
    from backend.catalog import find

    return open_family(find(IMAGES, image_dir), image_dir)


@pytest.fixture(scope="module")
def items(family):
    return family.items(0, ITEMS, 0)


@pytest.fixture(scope="module")
def chosen(family, items):
    """int `[position]`: what the model itself chooses."""
    return family.encode(items).grids["vq"].codes[:, 0]


def test_every_picture_is_what_the_model_was_shown_and_every_map_what_it_chose(explorer, items, chosen):
    for item in items[::7]:
        assert np.array_equal(explorer.picture(IMAGES, item.index), to_bytes(item.payload))
        tokens = explorer.token_map(IMAGES, item.index, "vq")
        assert tokens.shape == (8, 8, 1)
        assert np.array_equal(tokens.ravel(), chosen[item.index * CELLS : (item.index + 1) * CELLS])


def test_the_build_checked_pictures_and_labels_and_kept_the_training_curve(explorer):
    facts = explorer.facts(IMAGES)
    assert {"pictures", "labels"} <= set(facts["checks"]) and "regex" not in facts["checks"]
    assert explorer.training_curve(IMAGES).to_dict("records") == CURVE
    assert explorer.metrics(IMAGES)["name"].tolist() == ["psnr"]


@pytest.mark.parametrize("how", ["top", "random", "boundary"])
def test_patches_are_cut_where_the_code_was_chosen(explorer, items, chosen, how):
    found = explorer.patches(REF, how, n=12, around=2)
    assert len(found) == min(12, int((chosen == REF.code).sum())) and len({p.pos for p in found}) == len(found)
    for patch in found:
        assert chosen[patch.pos] == REF.code and patch.pos == patch.item * CELLS + patch.place
        assert patch.place == patch.row * 8 + patch.column
        whole = to_bytes(items[patch.item].payload)
        y, x = 4 * patch.row, 4 * patch.column
        assert np.array_equal(patch.pixels, whole[y : y + 4, x : x + 4])
        assert patch.crop.shape == (20, 20, 4) and np.array_equal(patch.crop[8:12, 8:12, :3], patch.pixels)
        inside = patch.crop[..., 3] == 255
        framed = np.pad(whole, ((8, 8), (8, 8), (0, 0)))[y : y + 20, x : x + 20]
        assert np.array_equal(patch.crop[inside][:, :3], framed[inside])
        assert inside.sum() == (min(y + 12, 32) - max(y - 8, 0)) * (min(x + 12, 32) - max(x - 8, 0))
        assert patch.labels == {k: v[patch.place] for k, v in items[patch.item].labels.items() if v[patch.place]}
    scores, margins = [p.score for p in found], [p.margin for p in found]
    assert how != "top" or scores == sorted(scores, reverse=True)
    assert how != "boundary" or margins == sorted(margins)


def test_random_patches_follow_the_seed(explorer):
    again = [[p.pos for p in explorer.patches(REF, "random", n=6, seed=seed)] for seed in (0, 0, 1)]
    assert again[0] == again[1] != again[2]


def test_places_are_counted_by_cell(explorer, chosen):
    counts = explorer.code_places(REF)
    assert np.array_equal(counts.ravel(), (chosen.reshape(ITEMS, CELLS) == REF.code).sum(axis=0))


def test_the_typical_patch_of_a_code_is_the_nearest_one(explorer):
    typical = explorer.typical_patches(IMAGES, "vq", [5, 6])
    assert typical[5].pos == explorer.patches(REF, "top", n=1)[0].pos and typical[6].ref.code == 6


def test_codes_at_positions_come_in_the_order_asked_for(explorer, chosen):
    found = explorer.patches_at(IMAGES, "vq", [700, 3, 64])
    assert [p.pos for p in found] == [700, 3, 64] and [p.ref.code for p in found] == chosen[[700, 3, 64]].tolist()


def counted(items, chosen, wanted):
    """Positions that hold all of `wanted`, and how often each code was chosen there."""
    truth = np.concatenate([[wanted(item, place) for place in range(CELLS)] for item in items])
    return int(truth.sum()), np.bincount(chosen[truth], minlength=CODES)


def test_two_labels_together_are_searched_exactly(explorer, items, chosen):
    result = explorer.search(IMAGES, "", also=[("object", "disc"), ("color", "red")], min_support=1)
    matches, hits = counted(
        items, chosen, lambda i, p: i.labels["object"][p] == "disc" and i.labels["color"][p] == "red"
    )
    assert matches > 0 and result.matches == matches
    assert {row.code: row.hits for row in result.codes.itertuples()} == {c: h for c, h in enumerate(hits) if h}
    alone = explorer.search(IMAGES, "", field="object", value="disc", also=[("color", "red")], min_support=1)
    assert alone.codes["hits"].tolist() == result.codes["hits"].tolist()
    assert result.neuron_positions == ITEMS * CELLS and result.codes["neuron"].iloc[0].startswith("vq/")


def test_a_tag_is_searched_with_a_label(explorer, items, chosen):
    result = explorer.search(IMAGES, "", also=[("item:class", "disc"), ("main", "main")], min_support=1)
    matches, _ = counted(items, chosen, lambda i, p: i.tags["class"] == "disc" and i.labels["main"][p] == "main")
    assert result.matches == matches > 0
    with pytest.raises(BadInput, match="No item has a tag 'colour'"):
        explorer.search(IMAGES, "", also=[("item:colour", "red")])
    with pytest.raises(BadInput, match="no label field"):
        explorer.search(IMAGES, "", also=[("nonsense", "red")])


def test_a_pattern_says_that_items_have_no_text(explorer):
    with pytest.raises(BadInput, match="have no text.*search by a label or a tag"):
        explorer.search(IMAGES, "disc")


def test_tags_under_a_code_have_their_denominators(explorer, items, chosen):
    found = explorer.tags_of(REF, 200).set_index(["field", "value"])
    row = found.loc[("class", "disc")] if ("class", "disc") in found.index else found.iloc[0]
    field, value = row.name
    fires = chosen == REF.code
    tagged = np.repeat([item.tags.get(field) == value for item in items], CELLS)
    assert row["count"] == (fires & tagged).sum() and row["total"] == tagged.sum()
    assert row["precision"] == pytest.approx((fires & tagged).sum() / fires.sum())


def test_all_labels_are_offered_with_their_counts(explorer, items):
    labels = explorer.all_labels(IMAGES).set_index(["field", "value"])["positions"]
    assert labels[("object", "disc")] == sum(v == "disc" for item in items for v in item.labels["object"])
    assert labels[("item:class", "disc")] == CELLS * sum(item.tags["class"] == "disc" for item in items)


def test_use_against_choices_is_counted_from_the_first_position_on(explorer, chosen):
    found = explorer.utilization(IMAGES, "vq")
    assert found["chosen"].iloc[-1] == len(chosen) and found["codes"].iloc[0] == 1
    for row in found.iloc[::20].itertuples():
        assert row.codes == len(np.unique(chosen[: row.chosen]))
        assert row.ceiling == pytest.approx(1 - np.exp(-row.chosen / CODES))


def test_vectors_asked_for_lie_on_the_map_of_the_codes(explorer, family, items, chosen):
    table, asked = family.table("vq"), family.encode(items, neurons=True).neurons["vq"]
    found = explorer.outputs(IMAGES, "vq")
    alive = np.append(np.bincount(chosen, minlength=CODES) > 0, np.zeros(len(asked), bool))
    placed = pca(np.concatenate([table, asked]), alive)[CODES:]
    assert len(found) == 2000
    assert np.allclose(found[["pca_x", "pca_y"]].to_numpy(), placed[found["pos"]], atol=1e-4)
    codes = explorer.codes(IMAGES, "vq")
    assert np.allclose(
        codes[["pca_x", "pca_y"]].to_numpy(), pca(np.concatenate([table, asked]), alive)[:CODES], atol=1e-4
    )


def test_nearest_codes_are_those_at_the_smallest_distance(explorer, family, chosen):
    table = family.table("vq").astype(np.float64)
    found = explorer.neighbours(REF, 10)
    away = np.linalg.norm(table - table[REF.code], axis=1)
    away[[REF.code, *np.flatnonzero(np.bincount(chosen, minlength=CODES) == 0)]] = np.inf
    assert [one.code for one in found["ref"]] == np.argsort(away, kind="stable")[:10].tolist()
    assert np.allclose(found["distance"], np.sort(away)[:10], atol=1e-4)


@pytest.mark.parametrize("euclidean", [True, False])
@pytest.mark.parametrize("n", [2, 21, 65, 1500, 3000])
def test_nearest_rows_are_exact_whatever_their_number(n, euclidean):
    rows = np.random.default_rng(n).normal(size=(n, 5)).astype(np.float32)
    found = nearest_rows(rows, 20, euclidean=euclidean)
    keep = min(20, n - 1)
    assert np.array_equal(found.code, np.repeat(np.arange(n), keep)) and found.rank.max() == keep
    wide = rows.astype(np.float64)
    unit = wide / np.linalg.norm(wide, axis=1, keepdims=True)
    cosine = unit @ unit.T
    near = -np.linalg.norm(wide[:, None] - wide[None], axis=2) if euclidean else cosine.copy()
    near[np.arange(n), np.arange(n)] = -np.inf
    best = np.sort(near, axis=1)[:, ::-1][:, :keep]
    mine = np.take_along_axis(near, found.neighbour.reshape(n, keep), axis=1)
    assert np.allclose(mine, best, atol=1e-5)
    assert np.allclose(found.cosine, cosine[found.code, found.neighbour], atol=1e-5)


def test_a_finite_data_set_is_taken_whole_and_said(tmp_path):
    make_images(tmp_path, items=1)
    path = tmp_path / "catalog" / f"{IMAGES}.toml"
    path.write_text(path.read_text().replace('"scenes"', '"digits"'))
    told = []
    report = build(IMAGES, tmp_path, items=5000, projection="pca", progress=lambda *step: told.append(step))
    assert report.items == open_images({"name": "digits"}, tmp_path).count(0) == 1437
    assert any("1,437 items" in stage for stage, _, total in told if not total)


def test_residual_levels_are_codebooks_of_one_build(tmp_path):
    make_images(tmp_path, (16, 16), 20, "levels")
    explorer = Explorer(tmp_path)
    assert explorer.codebooks("levels")["site"].tolist() == ["rvq.0", "rvq.1"]
    assert len(explorer.outputs("levels", "rvq.1")) == 20 * CELLS
    found = explorer.decoded(
        CodeRef("levels", "rvq.1", int(explorer.token_map("levels", 0, "rvq.1")[0, 0, 0])),
        explorer.live("levels").decode,
        n=3,
    )
    assert found.everywhere.shape == (32, 32, 3) and len(found.elsewhere) == 3


def test_a_decoded_code_is_what_the_decoder_draws(explorer, family):
    found = explorer.decoded(REF, explorer.live(IMAGES).decode, n=4, seed=3, around=1)
    assert np.array_equal(found.alone, to_bytes(family.decode({"vq": np.array([[[5]]])}))[0])
    assert np.array_equal(found.everywhere, to_bytes(family.decode({"vq": np.full((1, 8, 8), 5)}))[0])
    places = explorer.patches(REF, "random", n=4, seed=3)
    for place, crop in zip(places, found.own, strict=True):
        drawn = to_bytes(family.decode({"vq": explorer.token_map(IMAGES, place.item, "vq")[None]}))[0]
        y, x = 4 * place.row, 4 * place.column
        assert np.abs(crop[4:8, 4:8, :3].astype(int) - drawn[y : y + 4, x : x + 4]).max() <= 1
    assert found.cells == 4 * CELLS and found.own_spread >= 0 and found.elsewhere_spread >= 0


def test_texts_have_no_pictures_and_wrong_items_are_named(explorer, tmp_path):
    tiny_store.make(tmp_path, items=20)
    texts = Explorer(tmp_path)
    for ask in (
        lambda: texts.picture(tiny_store.MODEL, 0),
        lambda: texts.code_places(CodeRef(tiny_store.MODEL, "L0.mlp", 1)),
    ):
        with pytest.raises(Unsupported, match="no pictures"):
            ask()
    with pytest.raises(BadInput, match="no item"):
        explorer.picture(IMAGES, ITEMS)
    with pytest.raises(UnknownCode):
        explorer.patches(CodeRef(IMAGES, "vq", CODES))
    with pytest.raises(BadInput, match="around"):
        explorer.patches(REF, around=99)


def test_what_can_be_asked_of_items_depends_on_what_the_build_holds_and_not_on_what_they_are_called(
    image_dir,  # noqa: F811
    tmp_path,
):
    for name, change in (
        ("renamed", "UPDATE facts SET value = '\"weights\"' WHERE key = 'kind'"),
        ("bare", "DELETE FROM pictures"),
    ):
        shutil.copytree(image_dir, tmp_path / name)
        (path,) = (tmp_path / name / "builds").glob("*.duckdb")
        with duckdb.connect(str(path)) as db:
            db.execute(change)
    renamed, grids, whole = Explorer(tmp_path / "renamed"), Explorer(tmp_path / "bare"), Explorer(image_dir)
    assert [p.pos for p in renamed.patches(REF, n=3)] == [p.pos for p in whole.patches(REF, n=3)]
    assert np.array_equal(grids.token_map(IMAGES, 3, "vq"), whole.token_map(IMAGES, 3, "vq"))
    assert np.array_equal(grids.code_places(REF), whole.code_places(REF))
    for ask in (
        lambda: grids.patches(REF),
        lambda: grids.picture(IMAGES, 3),
        lambda: grids.typical_patches(IMAGES, "vq", [5]),
    ):
        with pytest.raises(Unsupported, match="no pictures"):
            ask()


def test_a_build_whose_pictures_are_not_what_the_model_was_shown_is_not_published(tmp_path):
    make_images(tmp_path, items=8)
    (first,) = (tmp_path / "builds").glob("*.duckdb")

    def forgetful(spec, data_dir):
        """A family that, once the store is there, says of one picture that it was a shade brighter."""
        family = open_family(spec, data_dir)
        encode = family.encode

        def encode_and_change(items, *args, **options):
            found = encode(items, *args, **options)
            if list(data_dir.glob("builds/*.partial/store.duckdb")):
                pixel = items[0].payload[0, 0]
                pixel[0] += 2 / 255 if pixel[0] < 0 else -2 / 255
            return found

        family.encode = encode_and_change
        return family

    with pytest.raises(CheckFailed, match="pictures"):
        build(IMAGES, tmp_path, items=9, projection="pca", open_family=forgetful)
    assert list((tmp_path / "builds").glob("*.duckdb")) == [first]


@pytest.mark.parametrize(
    "text", ["{", '{"metrics": {"psnr": {"value": 1}}}', '{"training": {"curve": [{"step": "x"}]}}']
)
def test_a_broken_card_is_named(tmp_path, text):
    (tmp_path / "card.json").write_text(text)
    with pytest.raises(CheckpointError, match="card.json"):
        read_card(tmp_path)
