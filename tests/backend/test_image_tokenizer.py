"""Image tokenizers as a family: tokens, pictures, edits, checkpoints, a whole build."""

import json

import numpy as np
import pytest
import torch

from backend.build.precompute import build
from backend.catalog import write_spec
from backend.catalog.cards import Card
from backend.errors import BadInput, CheckpointError, UnknownCode
from backend.families import open_family
from backend.families.image_tokenizer.model import load_producer, load_tokenizer, save_tokenizer
from backend.nn.image_tokenizer import cells_of_rows, rows_of_cells
from backend.nn.tables import make_table
from backend.types import CodebookInfo, Edit
from tests.backend.tiny_tokenizer import tiny_family, tiny_tokenizer

CELLS = 64


def maps(family, encoded, count):
    """Token maps as `decode` wants them."""
    return {site: grid.codes.reshape(count, 8, 8, 1) for site, grid in encoded.grids.items()}


@pytest.mark.parametrize("normalized", [False, True])
def test_tokens_are_the_nearest_codes_of_the_latents_with_their_runners_up(normalized):
    family = tiny_family(normalized=normalized)
    items = family.items(0, 3, seed=1)
    grid = family.encode(items).grids["vq"]
    with torch.no_grad():
        latents = family.model.encode(torch.from_numpy(np.stack([i.payload for i in items])))
    rows, table = rows_of_cells(latents), torch.from_numpy(family.table("vq"))
    away = (rows[:, None] - table).norm(dim=-1).sort(dim=-1)
    assert grid.codes.shape == (3 * CELLS, 1)
    assert np.array_equal(grid.codes[:, 0], away.indices[:, 0])
    assert np.array_equal(grid.runner_up, away.indices[:, 1])
    assert np.allclose(grid.scores[:, 0], -away.values[:, 0], atol=1e-5)
    assert np.allclose(grid.runner_up_score, -away.values[:, 1], atol=1e-5)
    assert (grid.margins >= 0).all()
    assert len(np.unique(grid.codes)) > 5
    if normalized:
        assert np.allclose(np.linalg.norm(family.table("vq"), axis=1), 1, atol=1e-5)


def test_what_the_family_says_of_itself_is_what_pages_ask_for():
    family = tiny_family()
    assert family.capabilities == {"encode", "decode", "edit", "neurons"}
    assert family.codebooks() == [CodebookInfo("vq", 50, 6, 1, None, None, "vq", "euclidean")]
    assert family.table("vq").shape == (50, 6)
    (item,) = family.items(4, 5, seed=2)
    assert item.shape == (8, 8)
    with pytest.raises(UnknownCode, match="L0.mlp"):
        family.table("L0.mlp")


def test_the_same_pictures_give_the_same_tokens_in_any_batch():
    family = tiny_family()
    items = family.items(0, 200, seed=1)
    together = family.encode(items).grids["vq"].codes.reshape(200, CELLS)
    assert np.array_equal(family.encode(items).grids["vq"].codes.reshape(200, CELLS), together)
    alone = np.stack([family.encode([item]).grids["vq"].codes[:, 0] for item in items[:20]])
    assert (alone == together[:20]).mean() > 0.999


def test_pictures_of_several_sizes_are_encoded_in_one_call():
    family = tiny_family()
    draw = np.random.default_rng(0)
    pictures = [draw.uniform(-1, 1, (3, h, w)).astype(np.float32) for h, w in ((32, 32), (8, 20), (8, 20), (32, 32))]
    grid = family.encode_pixels(pictures).grids["vq"]
    assert len(grid.codes) == 64 + 10 + 10 + 64
    assert np.array_equal(grid.codes[-64:], family.encode_pixels(pictures[-1:]).grids["vq"].codes)


def test_residual_levels_are_codebooks_of_their_own_and_add_up():
    family = tiny_family((40, 30, 20))
    assert [info.site for info in family.codebooks()] == ["rvq.0", "rvq.1", "rvq.2"]
    items = family.items(0, 2, seed=1)
    encoded = family.encode(items)
    with torch.no_grad():
        latents = family.model.encode(torch.from_numpy(np.stack([i.payload for i in items])))
    left = rows_of_cells(latents).clone()
    lengths = []
    for site in encoded.grids:
        table = torch.from_numpy(family.table(site))
        ids = (left[:, None] - table).norm(dim=-1).argmin(-1)
        assert np.array_equal(encoded.grids[site].codes[:, 0], ids)
        left = left - table[ids]
        lengths.append(float(left.norm()))
    assert lengths[0] > lengths[1] > lengths[2]
    pictures = family.decode(maps(family, encoded, 2))
    with torch.no_grad():
        expected = family.model.decode(cells_of_rows(rows_of_cells(latents) - left, latents.shape))
    assert np.allclose(pictures, expected, atol=1e-5)


def test_decode_takes_token_maps_with_and_without_slots_and_of_any_shape():
    family = tiny_family()
    codes = np.random.default_rng(0).integers(0, 50, (3, 5, 7))
    pictures = family.decode({"vq": codes})
    assert pictures.shape == (3, 3, 20, 28) and pictures.dtype == np.float32
    assert np.array_equal(family.decode({"vq": codes[..., None].astype(np.int32)}), pictures)
    empty = family.decode({"vq": np.full((1, 5, 7), -1)})
    with torch.no_grad():
        assert np.allclose(empty, family.model.decode(torch.zeros(1, 6, 5, 7)), atol=1e-5)
    assert family.decode({"vq": np.zeros((0, 8, 8, 1), np.int32)}).shape == (0, 3, 32, 32)


def test_forces_bans_and_zeros_change_the_tokens_at_their_cells_only():
    family = tiny_family()
    items = family.items(0, 2, seed=1)
    plain = family.encode(items).grids["vq"]
    before = plain.codes[:, 0].reshape(2, CELLS)

    forced = family.encode(items, [Edit("vq", 7, where=(3, -1))]).grids["vq"]
    expected = before.copy()
    expected[:, [3, 63]] = 7
    assert np.array_equal(forced.codes[:, 0].reshape(2, CELLS), expected)
    assert (
        forced.scores[expected.ravel() != before.ravel(), 0] < plain.scores[expected.ravel() != before.ravel(), 0]
    ).all()

    common = int(np.bincount(before.ravel()).argmax())
    banned = family.encode(items, [Edit("vq", common, "ban")]).grids["vq"]
    hit = before.ravel() == common
    assert hit.any() and not hit.all()
    assert np.array_equal(banned.codes[hit, 0], plain.runner_up[hit])
    assert np.array_equal(banned.codes[~hit], plain.codes[~hit])
    assert not (banned.runner_up == common).any()

    zeroed = family.encode(items, [Edit("vq", common, "zero", where=tuple(range(40)))]).grids["vq"]
    here = hit & (np.arange(2 * CELLS) % CELLS < 40)
    assert (zeroed.codes[here] == -1).all() and np.isneginf(zeroed.scores[here]).all()
    assert np.array_equal(zeroed.codes[~here], plain.codes[~here])
    assert np.array_equal(family.encode(items, [Edit("vq", 7, where="generated")]).grids["vq"].codes, plain.codes)


def test_a_cell_of_which_every_code_is_banned_stays_empty():
    family = tiny_family((3,))
    bans = [Edit("vq", code, "ban", where=(5,)) for code in range(3)]
    grid = family.encode(family.items(0, 1, seed=1), bans).grids["vq"]
    assert grid.codes[5, 0] == -1 and grid.runner_up[5] == -1
    assert (np.delete(grid.codes, 5) >= 0).all()


def test_a_blend_moves_the_picture_between_the_two_tokens():
    family = tiny_family()
    codes = maps(family, family.encode(family.items(0, 1, seed=1)), 1)
    edited = {"vq": codes["vq"].copy()}
    edited["vq"][0, 2, 3] = 9
    at = (2 * 8 + 3,)
    assert np.allclose(family.decode(codes, [Edit("vq", 9, "blend", 1.0, at)]), family.decode(edited), atol=1e-5)
    assert np.allclose(family.decode(codes, [Edit("vq", 9, "blend", 0.0, at)]), family.decode(codes), atol=1e-6)
    half = family.decode(codes, [Edit("vq", 9, "blend", 0.5, at)])
    own = int(
        codes["vq"].reshape(-1)[at[0]]
    )  # half of a code more than it is, and one and a half of it in an empty cell
    emptied = {"vq": np.where(np.arange(codes["vq"].size).reshape(codes["vq"].shape) == at[0], -1, codes["vq"])}
    more = family.decode(codes, [Edit("vq", own, "add", 0.5, at)])
    anew = family.decode(emptied, [Edit("vq", own, "blend", 1.5, at)])
    assert np.allclose(more, anew, atol=1e-5) and not np.allclose(more, family.decode(codes), atol=1e-4)
    assert not np.allclose(half, family.decode(codes), atol=1e-4)


@pytest.mark.parametrize(
    ("edit", "error"),
    [(Edit("vq", 50), UnknownCode), (Edit("rvq.0", 1), UnknownCode), (Edit("vq", 1, slot=1), BadInput)],
)
def test_edits_of_what_is_not_there_are_refused(edit, error):
    family = tiny_family()
    with pytest.raises(error):
        family.encode(family.items(0, 1, seed=1), [edit])


@pytest.mark.parametrize(
    ("codes", "error"),
    [
        ({"vq": np.full((1, 8, 8), 50)}, UnknownCode),
        ({"vq": np.full((1, 8, 8), -2)}, UnknownCode),
        ({"vq": np.zeros((1, 8, 8))}, BadInput),
        ({"vq": np.zeros((8, 8), int)}, BadInput),
        ({"rvq.0": np.zeros((1, 8, 8), int)}, BadInput),
        ({}, BadInput),
    ],
)
def test_token_maps_that_cannot_be_decoded_are_refused(codes, error):
    with pytest.raises(error):
        tiny_family().decode(codes)


@pytest.mark.parametrize("shape", [(3, 30, 32), (1, 32, 32), (3, 0, 32), (32, 32)])
def test_pictures_that_cannot_be_cut_into_cells_are_refused(shape):
    with pytest.raises(BadInput):
        tiny_family().encode_pixels([np.zeros(shape, np.float32)])


def test_a_checkpoint_gives_the_same_tokens_and_pictures(tmp_path):
    family = tiny_family((40, 30))
    items = family.items(0, 2, seed=1)
    save_tokenizer(family.model, tmp_path / "checkpoints" / "tiny", Card())
    again = open_family(family.spec, tmp_path)
    before, after = family.encode(items), again.encode(items)
    for site in before.grids:
        assert np.array_equal(before.grids[site].codes, after.grids[site].codes)
    codes = maps(family, before, 2)
    assert np.array_equal(family.decode(codes), again.decode(codes))


def test_half_precision_is_widened_on_reading_and_its_produced_table_stays_exact(tmp_path):
    model = tiny_tokenizer((64,))
    torch.manual_seed(0)
    producer = make_table("simvq", 64, 6, {}, None)
    method = {"name": "simvq", "dim": 6, "settings": {}}
    save_tokenizer(model, tmp_path / "m", Card(), method=method, producer=producer, half=True)
    read, kept = load_tokenizer(tmp_path / "m"), load_producer(tmp_path / "m")
    assert read.encoder.to_codes.weight.dtype == torch.float32
    assert torch.equal(read.encoder.to_codes.weight, model.encoder.to_codes.weight.half().float())
    assert torch.equal(kept.table(), read.table())
    assert torch.allclose(kept.table(), producer.table(), atol=1e-3)


def broken(folder, what):
    file = folder / what
    if what == "config.json":
        data = json.loads(file.read_text())
        data["tokenizer"]["codes"] = [51]
        file.write_text(json.dumps(data))
    else:
        file.write_bytes(file.read_bytes()[:100])


@pytest.mark.parametrize("what", ["config.json", "model.safetensors"])
def test_a_checkpoint_that_contradicts_itself_or_was_cut_off_is_refused(tmp_path, what):
    save_tokenizer(tiny_tokenizer(), tmp_path / "tiny", Card())
    broken(tmp_path / "tiny", what)
    with pytest.raises(CheckpointError):
        load_tokenizer(tmp_path / "tiny")


@pytest.mark.parametrize(
    "change", [{"network": "huge"}, {"codes": []}, {"codes": [0]}, {"more": 1}, {"settings": {"width": 7}}]
)
def test_a_configuration_that_makes_no_tokenizer_is_refused(tmp_path, change):
    save_tokenizer(tiny_tokenizer(), tmp_path / "tiny", Card())
    file = tmp_path / "tiny" / "config.json"
    data = json.loads(file.read_text())
    data["tokenizer"] |= change
    file.write_text(json.dumps(data))
    with pytest.raises(CheckpointError, match="describes no image tokenizer"):
        load_tokenizer(tmp_path / "tiny")


def test_a_build_of_a_tokenizer_checks_itself_and_is_published(tmp_path):
    family = tiny_family()
    write_spec(family.spec, tmp_path)
    save_tokenizer(family.model, tmp_path / "checkpoints" / "tiny", Card())
    report = build("tiny", tmp_path, items=20, projection="pca")
    assert report.positions == report.activations == 20 * CELLS
    assert report.checks["encoded again"].startswith("20 of 20 items encoded again: 1280 codes agree")
