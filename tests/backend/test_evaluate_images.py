"""What is measured of an image tokenizer, against numbers that follow from its definition."""

import math

import numpy as np
import pytest
import torch

from backend.catalog import write_spec
from backend.evaluate_images import measure_images
from backend.families import open_family
from backend.families.image_tokenizer import save_tokenizer
from backend.measures import Measures
from backend.nn.picture_distance import feature_distance
from backend.nn.tables import make_table
from backend.reproduce_images import ROWS, reproduce_utilization
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
    grid = family.encode(family.items(0, 8, 900_000)).grids["vq"]
    counts = np.bincount(grid.codes[:, 0], minlength=50)
    shares = counts[counts > 0] / counts.sum()
    assert metrics["tokens_counted"].value == 8 * 64
    assert metrics["utilization"].value == pytest.approx((counts > 0).mean())
    assert metrics["perplexity"].value == pytest.approx(np.prod(shares**-shares))
    assert metrics["utilization_ceiling"].value == pytest.approx(1 - math.exp(-512 / 50))
    assert metrics["bits_per_pixel"].value == pytest.approx(math.log2(50) / 16)
    assert metrics["bits_per_pixel_effective"].value == pytest.approx(math.log2(metrics["perplexity"].value) / 16)
    assert metrics["fold_token_mismatches"].value == 0
    assert all(metric.definition and metric.n > 0 for metric in metrics.values())


def test_tokens_are_at_least_five_a_code_however_few_pictures_are_rebuilt():
    metrics = measured(tiny_family((300,)), count=2)
    assert metrics["tokens_counted"].value == 24 * 64
    assert metrics["psnr"].n == 2


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
    save_tokenizer(model, folder, {}, method=method, producer=producer, half=True)
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
    names = [row.name(seed) for row in ROWS for seed in row.seeds]
    assert len(names) == len(set(names))
    assert {"scenes-fvq-1024", "scenes-fvq-4096", "scenes-fvq-16384", "scenes-fvq-102400", "scenes-lc-16384"} <= set(
        names
    )
    assert all(math.isqrt(row.recipe.codes) ** 2 == row.recipe.codes for row in ROWS if row.recipe.method == "fvq")
    assert all(row.recipe.network for row in ROWS)
    small = {
        row.recipe.method: row.seeds
        for row in ROWS
        if row.recipe.codes == 16_384 and row.recipe.method in ("vq", "fvq")
    }
    assert small == {"vq": (0, 1, 2), "fvq": (0, 1, 2)}


def test_a_finished_row_is_neither_trained_nor_measured_again(tmp_path):
    only = ("scenes-fvq-1024",)
    first = reproduce_utilization(tmp_path, fast=True, device="cpu", only=only)
    (row,) = first["rows"]
    assert row["model"] == "scenes-fvq-1024-quick" and row["metrics"]["fold_token_mismatches"]["value"] == 0
    assert row["training"]["curve"][-1]["step"] == row["training"]["steps"]
    said = []
    again = reproduce_utilization(
        tmp_path, fast=True, device="cpu", only=only, progress=lambda what, done, total: said.append(what)
    )
    assert again["rows"] == first["rows"] and said == []
    assert open_family_of(tmp_path, "scenes-fvq-1024-quick").model.sites == ["vq"]


def open_family_of(data_dir, name):
    """A model of the catalog."""
    from backend.catalog import find

    return open_family(find(name, data_dir), data_dir)
