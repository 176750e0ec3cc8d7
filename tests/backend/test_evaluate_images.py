"""What is measured of an image tokenizer, against numbers that follow from its definition."""

import json
import math

import numpy as np
import pytest
import torch

from backend.analysis.measures import Measures
from backend.catalog import DEFAULT_DATA_DIR, write_spec
from backend.catalog.cards import Card
from backend.errors import UsageError
from backend.families import open_family
from backend.families.image_tokenizer.measure import is_measured, measure_images
from backend.families.image_tokenizer.model import save_tokenizer
from backend.families.image_tokenizer.tables import ROWS
from backend.families.image_tokenizer.training.utilization import make_utilization
from backend.nn.picture_distance import feature_distance
from backend.nn.tables import make_table
from backend.train.tables import Reproduction
from tests.backend.tiny_tokenizer import tiny_family, tiny_tokenizer

NAMES = (
    "utilization utilization_ceiling utilization_of_ceiling perplexity tokens_counted psnr ssim feature_distance "
    "fold_token_mismatches bits_per_pixel bits_per_pixel_effective"
).split()


def measured(family, count=8):
    """Metrics of one seed."""
    into = Measures()
    measure_images(family, into, 0, count)
    return into.metrics()


def test_counts_are_those_of_the_tokens_of_held_out_pictures():
    family = tiny_family()
    metrics = measured(family)
    assert set(NAMES) <= set(metrics)
    grid = family.encode(family.items(0, 25, 900_000)).grids["vq"]
    counts = np.bincount(grid.codes[:, 0], minlength=50)
    shares = counts[counts > 0] / counts.sum()
    assert metrics["tokens_counted"].value == 25 * 64
    assert metrics["utilization"].value == pytest.approx((counts > 0).mean())
    assert metrics["perplexity"].value == pytest.approx(np.prod(shares**-shares))
    assert metrics["utilization_ceiling"].value == pytest.approx(1 - math.exp(-1600 / 50))
    assert metrics["bits_per_pixel"].value == pytest.approx(math.log2(50) / 16)
    assert metrics["bits_per_pixel_effective"].value == pytest.approx(math.log2(metrics["perplexity"].value) / 16)
    assert metrics["fold_token_mismatches"].value == 0
    assert all(metric.definition and metric.n > 0 for metric in metrics.values())


def test_tokens_are_thirty_two_a_code_however_few_pictures_are_rebuilt_and_use_is_noted_on_the_way():
    family = tiny_family((300,))
    metrics = measured(family, count=2)
    assert metrics["tokens_counted"].value == 150 * 64
    assert metrics["psnr"].n == 2
    grid = family.encode(family.items(0, 24, 900_000)).grids["vq"]
    assert metrics["utilization_at_5"].n == 24 * 64
    assert metrics["utilization_at_5"].value == len(np.unique(grid.codes)) / 300
    noted = [metrics[f"utilization_at_{seen}"].value for seen in (1, 2, 5, 10, 20)]
    assert noted == sorted(noted) and noted[-1] <= metrics["utilization"].value


def test_residual_tables_are_counted_each_and_their_bits_added():
    metrics = measured(tiny_family((40, 20)))
    assert metrics["utilization"].value == pytest.approx(
        (metrics["utilization.rvq.0"].value + metrics["utilization.rvq.1"].value) / 2
    )
    assert metrics["bits_per_pixel"].value == pytest.approx((math.log2(40) + math.log2(20)) / 16)


def test_a_kept_producer_is_compared_and_one_that_differs_is_found(tmp_path):
    model = tiny_tokenizer((64,))
    torch.manual_seed(0)
    producer = make_table("simvq", 64, 6, {}, None)
    spec = tiny_family().spec
    write_spec(spec, tmp_path)
    folder = tmp_path / "checkpoints" / "tiny"
    method = {"name": "simvq", "dim": 6, "settings": {}}
    save_tokenizer(model, folder, Card(), method=method, producer=producer, half=True)
    same = measured(open_family(spec, tmp_path))
    assert same["fold_token_mismatches"].value == 0 and same["fold_largest_change"].value == 0
    family = open_family(spec, tmp_path)
    family.model.tables[0].data = family.model.tables[0].data.roll(1, 0)
    different = measured(family)
    assert different["fold_token_mismatches"].value > 0 and different["fold_largest_change"].value > 0


def test_the_feature_distance_is_zero_for_equal_pictures_and_grows_with_what_is_done_to_them():
    family = tiny_family()
    pictures = family.dataset.pixels(0, 20, 900_000)
    draw = np.random.default_rng(0)
    assert feature_distance(pictures, pictures).max() == 0
    little, much = (
        feature_distance(pictures, (pictures + s * draw.normal(size=pictures.shape)).astype(np.float32))
        for s in (0.05, 0.3)
    )
    blurred = pictures.copy()
    blurred[:, :, 1:, 1:] = (pictures[:, :, 1:, 1:] + pictures[:, :, :-1, :-1]) / 2
    assert 0 < little.mean() < much.mean() < 2
    assert 0 < feature_distance(pictures, blurred).mean() < feature_distance(pictures, pictures[::-1].copy()).mean()
    assert np.allclose(feature_distance(pictures[:3], blurred[:3]), feature_distance(pictures, blurred)[:3], atol=1e-6)


def test_rows_of_the_table_have_names_of_their_own_and_squares_where_the_bridge_needs_them():
    names = [row.model for row in ROWS]
    assert len(names) == len(set(names))
    assert {"scenes-fvq-1024", "scenes-fvq-4096", "scenes-fvq-16384", "scenes-fvq-102400", "scenes-lc-16384"} <= set(
        names
    )
    assert all(math.isqrt(row.recipe.codes) ** 2 == row.recipe.codes for row in ROWS if row.recipe.method == "fvq")
    assert all(row.recipe.network for row in ROWS)
    plain = {(row.recipe.method, row.recipe.codes, row.seed) for row in ROWS if not row.note}
    assert {(m, k, s) for m in ("vq", "fvq") for k in (1024, 4096, 16_384) for s in (0, 1, 2)} <= plain
    schedules = {
        (row.recipe.codes, row.recipe.steps, row.recipe.batch) for row in ROWS if not row.model.endswith("-long")
    }
    assert len(schedules) == len({row.recipe.codes for row in ROWS}), "all methods of one size see as much"


def test_every_row_of_the_shipped_record_counts_as_measured():
    record = json.loads((DEFAULT_DATA_DIR / "results" / "utilization.json").read_text())
    found = {row["model"]: row["metrics"] for row in record["rows"]}
    for row in ROWS:
        seeds = 1 if row.recipe.codes > 16_384 else 3
        assert is_measured(found[row.model], seeds, row.tokens_a_code), row.model


def made(data_dir, only, progress=None):
    """Every record that a fast run gives on its way."""
    return list(
        make_utilization(ROWS, Reproduction(data_dir, {}.get, True, device="cpu", rows=only, progress=progress))
    )


def test_the_record_is_whole_after_every_row_and_a_finished_row_is_not_made_again(tmp_path):
    fvq, vq = "scenes-fvq-1024-quick", "scenes-vq-1024-quick"
    nothing, first = made(tmp_path, (fvq,))
    assert nothing["rows"] == [] and fvq in nothing["missing"]
    (row,) = first["rows"]
    assert row["model"] == fvq and row["metrics"]["fold_token_mismatches"]["value"] == 0
    assert row["training"]["curve"][-1]["step"] == row["training"]["steps"]
    assert fvq not in first["missing"] and vq in first["missing"]
    said = []
    before, both = made(tmp_path, (vq, fvq), lambda what, done, total: said.append(what))
    assert before["rows"] == first["rows"]
    assert [one["model"] for one in both["rows"]] == [fvq, vq] and both["rows"][0] == row
    assert said and all(what.startswith(vq) for what in said)


def test_a_row_measured_in_another_way_is_measured_again_but_not_trained(tmp_path):
    name = "scenes-vq-1024-quick"
    (row,) = made(tmp_path, (name,))[-1]["rows"]
    card = tmp_path / "checkpoints" / name / "card.json"
    old = json.loads(card.read_text())
    marks = old["metrics"]
    assert is_measured(marks, 1) and not is_measured(marks, 2) and not is_measured(marks, 1, tokens_a_code=100)
    assert not is_measured({**marks, "utilization_at_50": marks["utilization_at_20"]}, 1)
    del marks["utilization_at_20"]
    card.write_text(json.dumps(old))
    said = []
    (again,) = made(tmp_path, (name,), lambda what, done, total: said.append(what))[-1]["rows"]
    assert again == row and said == [f"{name}: measuring"]


def test_an_unknown_row_is_refused(tmp_path):
    with pytest.raises(UsageError, match="no rows scenes-none"):
        made(tmp_path, ("scenes-none",))
