"""How each method produces its table: starts, gradients, folding, and one short training of each."""

import json
import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from backend.catalog.cards import Card
from backend.errors import BadInput, CheckpointError, UsageError
from backend.families.image_tokenizer.model import load_producer, load_tokenizer, save_tokenizer
from backend.families.image_tokenizer.training import picture_features
from backend.families.image_tokenizer.training.pools import open_pool
from backend.families.image_tokenizer.training.recipe import FEATURE_WIDTH, TokenizerRecipe
from backend.families.image_tokenizer.training.tokenizers import Learner, train_tokenizer
from backend.nn.bridge import VQBridge, codes_a_token
from backend.nn.image_net import Bound, fsq_table
from backend.nn.image_tokenizer import rows_of_cells
from backend.nn.nearest import nearest
from backend.nn.tables import FSQ_LEVELS, METHODS, EmaTable, FeatureTable, ResetTable, make_table
from backend.train.runs import Run

SCENES = {"name": "scenes", "size": 32}
CODES = {"fsq": 1000}


@pytest.fixture(scope="module")
def pools(tmp_path_factory):
    """A folder in which 64 scenes are drawn once."""
    return tmp_path_factory.mktemp("pools")


def recipe(method, **changes):
    """A few steps of a tiny network."""
    small = {"steps": 6, "batch": 4, "width": 8, "blocks": 1, "pool": 64, "dim": 6, "levels": 2, "save_every": 0}
    if method == "fsq":
        del small["dim"]
    return TokenizerRecipe(SCENES, method, **{"codes": CODES.get(method, 64), **small, **changes})


@pytest.fixture(autouse=True)
def few_feature_steps(monkeypatch):
    """The denoising autoencoder of `lc` is trained for a moment."""
    from backend.families.image_tokenizer.training import tokenizers

    whole = tokenizers.train_features
    monkeypatch.setattr(
        tokenizers, "train_features", lambda pool, f, seed, progress=None: whole(pool, f, seed, 4, progress)
    )


def test_the_command_offers_the_methods_that_there_are():
    from backend.families.image_tokenizer.training.recipe import METHODS as offered

    assert offered == tuple(METHODS)


@pytest.mark.parametrize("method", METHODS)
def test_every_method_trains_folds_and_survives_a_checkpoint(method, pools, tmp_path):
    trained = train_tokenizer(recipe(method), Run(device="cpu"), pools)
    assert (trained.producer is not None) == (method in ("simvq", "fvq", "lc"))
    model = trained.model
    assert len(model.tables) == (2 if method == "rvq" else 1)
    save_tokenizer(model, tmp_path / "m", Card(), method=trained.method, producer=trained.producer)
    read, producer = load_tokenizer(tmp_path / "m"), load_producer(tmp_path / "m")
    images = open_pool(SCENES, pools, 64).batch(8, torch.Generator().manual_seed(1))
    with torch.no_grad():
        assert torch.equal(read.tokens(images), model.tokens(images))
        assert torch.equal(
            read.decode(read.lookup(read.tokens(images))), model.decode(model.lookup(model.tokens(images)))
        )
        if producer is not None:
            assert torch.allclose(producer.table(), read.table(), atol=1e-6)
            rows = torch.randn(500, read.code_dim)
            assert torch.equal(nearest(rows, producer.table()).ids, nearest(rows, read.table()).ids)
    assert trained.curve[-1]["step"] == 6 and all(math.isfinite(v) for point in trained.curve for v in point.values())


def test_the_same_seed_trains_the_same_tokenizer_and_another_another(pools):
    one, two = (train_tokenizer(recipe("fvq"), Run(device="cpu"), pools).model for _ in range(2))
    three = train_tokenizer(recipe("fvq"), Run(seed=1, device="cpu"), pools).model
    for name, value in one.state_dict().items():
        assert torch.equal(value, two.state_dict()[name])
    assert not torch.equal(one.table(), three.table())


@pytest.mark.parametrize("method", ["fvq", "ema", "reset", "lc"])
def test_a_stopped_run_goes_on_to_the_very_same_end(method, pools, tmp_path):
    whole = train_tokenizer(recipe(method), Run(device="cpu"), pools)
    stopped = replace(recipe(method), save_every=2)

    def stop(what, done, total):
        if what.startswith("training") and done == 5:
            raise KeyboardInterrupt

    run = Run(device="cpu", state=tmp_path / "state.pt", resume=True, progress=stop)
    with pytest.raises(KeyboardInterrupt):
        train_tokenizer(stopped, run, pools)
    again = train_tokenizer(stopped, replace(run, progress=None), pools)
    for name, value in whole.model.state_dict().items():
        assert torch.equal(value, again.model.state_dict()[name]), name
    keys = ("step", "utilization", "error")
    assert [[p[k] for k in keys] for p in again.curve] == [[p[k] for k in keys] for p in whole.curve]


def test_the_state_of_another_run_is_refused(pools, tmp_path):
    run = Run(device="cpu", state=tmp_path / "state.pt", resume=True)
    train_tokenizer(recipe("vq", save_every=2), run, pools)
    with pytest.raises(CheckpointError, match="other settings"):
        train_tokenizer(recipe("vq", save_every=2, lr=2e-3), run, pools)
    run.state.write_bytes(b"no state")
    with pytest.raises(CheckpointError, match="cannot be read"):
        train_tokenizer(recipe("vq", save_every=2), run, pools)


def test_the_learning_rate_rises_holds_and_falls_in_a_line_to_a_hundredth():
    rates = [TokenizerRecipe(SCENES, steps=1000).rate(step) for step in range(1000)]
    assert rates[0] == pytest.approx(0.01) and rates[100] == 1.0 and rates[369] == 1.0
    assert rates[685] == pytest.approx(0.505, abs=0.001)
    assert 0.01 <= rates[-1] < 0.012
    assert set(TokenizerRecipe(SCENES, steps=1000, anneal=False).rate(step) for step in range(100, 1000)) == {1.0}


def test_pools_are_drawn_once_and_told_apart_by_their_settings(tmp_path):
    first = open_pool(SCENES, tmp_path, 16)
    (file,) = tmp_path.iterdir()
    changed = file.stat().st_mtime_ns
    assert np.array_equal(open_pool(SCENES, tmp_path, 16).pictures, first.pictures)
    assert file.stat().st_mtime_ns == changed
    assert first.pictures.shape == (16, 3, 32, 32) and first.pictures.dtype == np.uint8
    assert len(open_pool(SCENES, tmp_path, 8)) == 8
    assert len(list(tmp_path.iterdir())) == 2
    images = first.batch(100, torch.Generator().manual_seed(0))
    assert images.shape == (100, 3, 32, 32) and -1 <= images.min() < images.max() <= 1


# -- the bridge ----------------------------------------------------------------------------------------------------


def test_the_bridge_starts_with_every_code_at_zero_and_one_code_s_gradient_moves_a_code_of_every_patch():
    table = make_table("fvq", 256, 8, {}, None)
    assert torch.equal(table.table(), torch.zeros(256, 8))
    assert table.codes.abs().max() <= 1 / 256
    optimizer = torch.optim.Adam(table.parameters(), lr=1e-2)
    for _ in range(2):
        loss = (table.table()[3] - 1).square().mean()  # one code alone is asked for
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    patches = table.table().abs().sum(-1).view(8, 2, 8, 2).amax((1, 3))
    assert (patches > 0).all()


def test_every_place_of_a_bridge_that_starts_at_zero_is_trained_from_the_first_step():
    learner = Learner(recipe("fvq", codes=4096), None)
    assert torch.equal(learner.tables[0].table(), torch.zeros(4096, learner.recipe.code_dim))
    _, loss, (ids,) = learner(torch.rand(8, 3, 32, 32) * 2 - 1, quantize=True)
    loss.backward()
    assert len(ids.unique()) > 450  # of 512 tokens
    assert (learner.tables[0].bridge.recover.bias.grad.view(16, -1) != 0).any(-1).all()


def test_without_the_zero_start_codes_differ_from_the_beginning():
    assert make_table("fvq", 256, 8, {"zero": False}, None).table().std() > 0.1


def test_every_code_of_the_square_passes_through_its_own_token():
    """Blocks cut out, the bridge is one linear map of each p x p patch: a code moves its own patch and no other."""
    bridge = VQBridge(64, 3, patch=2, hidden=12, depth=0, zero=False)
    bridge.norm = torch.nn.Identity()
    codes = torch.randn(64, 3)
    before = bridge(codes)
    codes[9] += 1  # row 1, column 1 of the square: the patch of codes 0, 1, 8 and 9
    moved = (bridge(codes) != before).any(-1).nonzero()[:, 0].tolist()
    assert moved == [0, 1, 8, 9]


def test_a_bridge_that_can_pass_codes_on_keeps_their_order():
    bridge = VQBridge(36, 2, patch=3, hidden=18 * 4 // 4 + 2, depth=0, zero=False)
    bridge.norm = torch.nn.Identity()
    with torch.no_grad():
        compress = torch.zeros(20, 2, 3, 3)
        recover = torch.zeros(18, 20)
        for row in range(3):
            for column in range(3):
                for channel in range(2):
                    place = (row * 3 + column) * 2 + channel
                    compress[place, channel, row, column] = 1
                    recover[place, place] = 1
        bridge.compress.weight.copy_(compress)
        bridge.recover.weight.copy_(recover)
    codes = torch.randn(36, 2)
    assert torch.allclose(bridge(codes), codes, atol=1e-6)


@pytest.mark.parametrize(
    ("codes", "p"), [(1024, 2), (4096, 4), (16_384, 4), (65_536, 4), (102_400, 5), (262_144, 8), (99_856, 4), (49, 1)]
)
def test_codes_a_token_divides_the_side(codes, p):
    assert codes_a_token(codes) == p
    assert math.isqrt(codes) % p == 0


@pytest.mark.parametrize("codes", [2, 1000, 100_000])
def test_a_table_that_is_no_square_is_refused_with_one_that_is(codes):
    with pytest.raises(UsageError, match="Give for example"):
        make_table("fvq", codes, 8, {}, None)


# -- the others ----------------------------------------------------------------------------------------------------


def test_running_means_come_to_the_mean_of_what_chose_a_code():
    table = EmaTable(3, 2)
    latents = torch.tensor([[1.0, 2.0], [3.0, 4.0], [-1.0, 0.0]])
    for _ in range(2000):
        table.learn(latents, torch.tensor([0, 0, 1]))
    assert torch.allclose(table.codes[:2], torch.tensor([[2.0, 3.0], [-1.0, 0.0]]), atol=1e-3)


def test_dead_codes_restart_at_latents_and_living_ones_stay():
    table = ResetTable(8, 2)
    before = table.codes.detach().clone()
    latents = torch.arange(64.0).view(32, 2) + 100
    table.learn(latents, torch.arange(32) % 3)
    assert torch.equal(table.codes[:3], before[:3])
    assert (table.codes[3:] >= 100).all()
    assert not table.chosen.any() and table.seen == 0


def test_the_projector_is_fitted_so_that_codes_lie_where_latents_do():
    generator = torch.Generator().manual_seed(0)
    features = torch.randn(3000, 10, generator=generator)
    true = torch.randn(10, 4, generator=generator)
    latents = features @ true + 5 + 0.01 * torch.randn(3000, 4, generator=generator)
    table = FeatureTable(features[:100], 4)
    table.start(latents, features)
    assert torch.allclose(table.table(), latents[:100], atol=0.3)
    lonely = FeatureTable(features[:100], 4)
    lonely.start(latents, None)  # features of a file: nothing to fit to, so mean and spread alone
    assert torch.allclose(lonely.table().mean(0), latents.mean(0), atol=1e-3)
    assert torch.allclose(lonely.table().std(0), latents.std(0), rtol=1e-3)


def test_features_of_a_file_are_the_codes_before_the_projector(pools, tmp_path):
    rows = np.random.default_rng(0).normal(size=(100, 12)).astype(np.float32)
    np.save(tmp_path / "features.npy", rows)
    trained = train_tokenizer(recipe("lc", features=str(tmp_path / "features.npy")), Run(device="cpu"), pools)
    kept = {tuple(row) for row in rows.tolist()}
    assert all(tuple(row) in kept for row in trained.producer.codes.tolist())
    with pytest.raises(BadInput, match="at least 128 rows"):
        train_tokenizer(recipe("lc", codes=128, features=str(tmp_path / "features.npy")), Run(device="cpu"), pools)
    with pytest.raises(BadInput, match="cannot be read"):
        train_tokenizer(recipe("lc", features=str(tmp_path / "none.npy")), Run(device="cpu"), pools)


def test_without_a_projector_the_frozen_features_are_the_codes(pools):
    with pytest.raises(UsageError, match="without a projector"):
        train_tokenizer(recipe("lc", settings={"projector": False}), Run(device="cpu"), pools)
    trained = train_tokenizer(recipe("lc", settings={"projector": False}, dim=0), Run(device="cpu"), pools)
    assert trained.model.code_dim == 64
    assert torch.equal(trained.producer.codes, trained.model.table())


@pytest.mark.parametrize("levels", FSQ_LEVELS.values())
def test_rounding_every_dimension_is_the_nearest_code_of_the_fsq_table(levels):
    table = fsq_table(levels)
    assert len(table) == math.prod(levels) == len(table.unique(dim=0))
    z = Bound(levels)(4 * torch.randn(40, len(levels), 2, 2, generator=torch.Generator().manual_seed(0)))
    rows = z.permute(0, 2, 3, 1).reshape(-1, len(levels))
    half = torch.tensor([n // 2 for n in levels])
    rounded = (rows * half).round() / half
    assert torch.allclose(table[nearest(rows, table).ids[:, 0]], rounded, atol=1e-6)
    assert table.min() >= -1 and table.max() <= 1


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"method": "magic"}, "no method"),
        ({"codes": 0}, "at least 1"),
        ({"method": "fsq", "codes": 999}, "FSQ has a table of"),
        ({"width": 9}, "multiple of 8"),
    ],
)
def test_recipes_that_cannot_be_trained_are_refused(changes, told):
    with pytest.raises(UsageError, match=told):
        assert TokenizerRecipe(SCENES, **changes).network


def test_a_recipe_is_plain_json():
    assert json.loads(json.dumps(recipe("lc").to_json()))["features"] == "autoencoder"


def test_the_features_of_lc_lie_nearer_to_new_cells_after_k_means_than_as_they_were_drawn(pools, monkeypatch):
    pool = open_pool(SCENES, pools, 64)
    encoder = picture_features.feature_network(4)
    new = rows_of_cells(encoder(pool.batch(32, torch.Generator().manual_seed(99)))).detach()
    found = {}
    for rounds in (0, 2):
        monkeypatch.setattr(picture_features, "ROUNDS", rounds)
        features = picture_features.select_features(encoder, pool, 200, 0)
        assert features.shape == (200, FEATURE_WIDTH) and torch.isfinite(features).all()
        found[rounds] = float(nearest(new, features).distances.square().mean())
    assert found[2] < 0.95 * found[0]
