"""Measuring an image tokenizer from its checkpoint: how many codes it uses, and how well it rebuilds pictures.

Every number is counted over held-out pictures of the model's data set. Utilization is counted over T = 32 tokens a code
unless more are asked for, and noted on the way there: codes that are rare, not dead, need many tokens to show (the papers
count whole data sets: 780 tokens a code of FVQ's 16,384). It stands beside its ceiling: even codes that are chosen evenly
are missed by a share of exp(-T / K).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

from backend.analysis.likeness import psnr, ssim
from backend.analysis.measures import Measures
from backend.analysis.seeds import HELD_OUT_SEED
from backend.analysis.usage import TokenUse, token_use, utilization_ceiling
from backend.data.source import ImageDataset
from backend.families.image_tokenizer.model import ImageTokenizerFamily, load_producer
from backend.families.image_tokenizer.training.recipe import TOKENS_A_CODE
from backend.families.kind import Other, Request
from backend.nn.image_tokenizer import rows_of_cells
from backend.nn.nearest import nearest
from backend.nn.picture_distance import feature_distance

# tokens a code after which utilization is noted on the way
SEEN = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000)
BATCH = 256  # pictures


def measure(family: ImageTokenizerFamily, other: Other, request: Request, into: Measures) -> None:
    """Open the door `measure`: everything that can be measured of one tokenizer, seed by seed."""
    for seed in range(request.seeds):
        request.tell(f"evaluating {family.spec.name}, seed {seed}", seed, request.seeds)
        measure_images(family, into, seed, request.items)
    request.tell(f"evaluating {family.spec.name}", request.seeds, request.seeds)


def measure_images(
    family: ImageTokenizerFamily, into: Measures, seed: int, count: int, tokens_a_code: int = TOKENS_A_CODE
) -> None:
    """Add everything that can be measured of one tokenizer with one seed.

    Args:
        family: the tokenizer.
        into: where the values go.
        seed: of the held-out pictures.
        count: pictures that are rebuilt; tokens are counted over as many as it takes.
        tokens_a_code: how many tokens are counted, T over K.
    """
    dataset, held_out = family.dataset, HELD_OUT_SEED + seed
    side = dataset.size // family.model.downsampling
    cells = side * side
    codes = max(info.num_codes for info in family.codebooks())
    limit = dataset.count(held_out)  # past it pictures come again
    wanted = max(count, -(-tokens_a_code * codes // cells))
    pictures = wanted if limit is None else min(wanted, limit)
    counts = _count(family, dataset, held_out, pictures, into)
    use = token_use(list(counts.values()), pictures * cells)
    _usage(use, counts, pictures * cells, into)
    rebuilt = min(count, pictures)
    _likeness(family, dataset.pixels(0, rebuilt, held_out), into)
    pixels = family.model.downsampling**2  # of a cell
    bits, effective = use.bits / pixels, use.bits_effective / pixels
    into.add("bits_per_pixel", bits, pictures * cells, "log2 of the number of codes, summed over tables, a pixel")
    into.add(
        "bits_per_pixel_effective",
        effective,
        pictures * cells,
        "entropy of the codes in bits, summed over tables, a pixel",
    )
    _fold(family, dataset.pixels(0, min(pictures, BATCH), held_out), into)


def _count(
    family: ImageTokenizerFamily, dataset: ImageDataset, seed: int, pictures: int, into: Measures
) -> dict[str, np.ndarray]:
    """Count how often each code of each site was chosen, int64 `[code]`; adds the utilization on the way, at `SEEN`."""
    counts = {info.site: np.zeros(info.num_codes, np.int64) for info in family.codebooks()}
    cells, codes = (dataset.size // family.model.downsampling) ** 2, max(map(len, counts.values()))
    marks = {-(-seen * codes // cells): seen for seen in SEEN}
    start = 0
    for stop in sorted({*range(BATCH, pictures, BATCH), *(mark for mark in marks if mark < pictures), pictures}):
        encoded = family.encode_pixels(list(dataset.pixels(start, stop, seed)))
        for site, uses in counts.items():
            uses += np.bincount(encoded.grids[site].codes[:, 0], minlength=len(uses))
        start = stop
        if stop in marks:
            share = float(np.mean([(uses > 0).mean() for uses in counts.values()]))
            ceiling = float(utilization_ceiling(marks[stop], 1))
            definition = f"utilization after the first T = {marks[stop]} K tokens; its ceiling is {ceiling:.4f}"
            into.add(f"utilization_at_{marks[stop]}", share, stop * cells, definition)
    return counts


def is_measured(metrics: Mapping[str, Any], seeds: int, tokens_a_code: int = TOKENS_A_CODE) -> bool:
    """Return whether the metrics of a card are of that many seeds, and codes were counted as they are now.

    Args:
        metrics: of the card.
        seeds: of the evaluation.
        tokens_a_code: that codes were to be counted over; known by the last one of `SEEN` that was reached.
    """
    reached = [seen for seen in SEEN if f"utilization_at_{seen}" in metrics]
    counted = reached == [seen for seen in SEEN if seen <= tokens_a_code]
    return counted and all(metric["seeds"] == seeds for metric in metrics.values())


def _usage(use: TokenUse, counts: dict[str, np.ndarray], tokens: int, into: Measures) -> None:
    mean = ", mean over tables" if len(counts) > 1 else ""
    definition = f"share of codes chosen at least once among the tokens of held-out pictures{mean}"
    top = f"share of codes that as many tokens reach if all codes are as likely: 1 - exp(-T / K){mean}"
    into.add("utilization", use.utilization, tokens, definition)
    into.add("utilization_ceiling", use.ceiling, tokens, top)
    into.add("utilization_of_ceiling", use.of_ceiling, tokens, f"utilization over its ceiling{mean}")
    into.add("perplexity", use.perplexity, tokens, f"exp of the entropy of the codes{mean}")
    into.add("tokens_counted", tokens, tokens, "tokens of held-out pictures that codes were counted over, a table")
    if len(counts) > 1:
        for site, uses in counts.items():
            into.add(f"utilization.{site}", token_use([uses], tokens).utilization, tokens, f"utilization of {site}")


def _likeness(family: ImageTokenizerFamily, originals: np.ndarray, into: Measures) -> None:
    parts = []
    side = originals.shape[2] // family.model.downsampling
    for start in range(0, len(originals), BATCH):
        encoded = family.encode_pixels(list(originals[start : start + BATCH]))
        maps = {site: grid.codes.reshape(-1, side, side, 1) for site, grid in encoded.grids.items()}
        parts.append(family.decode(maps))
    rebuilt = np.concatenate(parts)
    n = len(originals)
    into.add("psnr", float(psnr(originals, rebuilt).mean()), n, "dB over RGB at 8 bits, mean over held-out pictures")
    into.add(
        "ssim",
        float(ssim(originals, rebuilt).mean()),
        n,
        "gaussian window of 11, mean over colours and held-out pictures",
    )
    into.add(
        "feature_distance",
        float(feature_distance(originals, rebuilt).mean()),
        n,
        "squared distance of normalised features of three fixed random convolutions (not LPIPS), held-out pictures",
    )


@torch.no_grad()
def _fold(family: ImageTokenizerFamily, originals: np.ndarray, into: Measures) -> None:
    """Compare the table of the checkpoint with what its producer makes anew."""
    producer = None if family.folder is None else load_producer(family.folder)
    rows = rows_of_cells(family.model.encode(torch.from_numpy(originals).to(family.device)))
    if producer is None:
        into.add("fold_token_mismatches", 0, len(rows), "the table is kept as it was trained: there is nothing to fold")
        return
    remade = producer.table().to(family.device)
    folded = family.model.nearest(rows).ids[:, 0]
    different = (nearest(rows, remade).ids[:, 0] != folded).sum()
    definition = (
        "tokens of held-out pictures whose code differs between the kept table and the one its producer makes anew"
    )
    into.add("fold_token_mismatches", int(different), len(rows), definition)
    off = (remade[folded] - family.model.table()[folded]).abs().max()
    into.add("fold_largest_change", float(off), len(rows), "largest difference of a value of the codes chosen there")
