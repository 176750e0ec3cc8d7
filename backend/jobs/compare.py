"""Image tokenizers side by side on the same pictures: what is lost, what it costs, which codes are used, how long it takes.

How long it takes is another kind of figure: it is of the machine and of the moment, so it is measured by itself
(`backend.jobs.timing`) and can be left out.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pandas as pd

from backend import catalog
from backend.analysis.likeness import psnr, ssim
from backend.analysis.usage import token_use
from backend.answers.live import Tokenizer
from backend.errors import BadInput
from backend.families.kind import unsupported
from backend.jobs.timing import Timing, time_passes
from backend.types import Progress

DEFINITIONS = {
    "psnr": "peak signal-to-noise ratio in dB over red, green and blue, 8 bits; mean over pictures",
    "ssim": "structural similarity, gaussian window of 11 pixels, mean over colours and pictures",
    "feature_distance": "squared distance of normalised features of three fixed random convolutions (not LPIPS); mean",
    "utilization": "share of the codes that these pictures use at least once; mean over levels",
    "ceiling": "1 - exp(-T / K): the share that T tokens would use if they chose among K codes evenly; mean over levels",
    "utilization_of_ceiling": "utilization over ceiling; mean over levels",
    "perplexity": "exp of the entropy of the codes' use on these pictures; mean over levels",
    "bits_per_pixel": "cells x log2 K / pixels, summed over levels: what the tokens cost if all codes cost the same",
    "bits_per_pixel_effective": "cells x entropy / pixels: what an ideal coder that knows the codes' use would need",
    "encode_ms": "milliseconds a picture, warm: median of several passes over all of them, with the lowest and highest",
    "decode_ms": "milliseconds a picture, warm: median of several passes over all of them, with the lowest and highest",
}


def scores(originals: np.ndarray, others: np.ndarray) -> dict[str, np.ndarray]:
    """Return `psnr`, `ssim` and `feature_distance` of each picture, float64 `[n]`; see `DEFINITIONS`.

    Args:
        originals: float32 `[n, 3, height, width]` in [-1, 1].
        others: what they are compared with.
    """
    from backend.nn.picture_distance import feature_distance  # needs torch, which reading pages do without

    measures = {"psnr": psnr, "ssim": ssim, "feature_distance": feature_distance}
    return {name: measure(originals, others).astype(np.float64) for name, measure in measures.items()}


@dataclass(frozen=True)
class Compared:
    """One tokenizer on n pictures.

    Attributes:
        model: its name.
        tokens: site -> int32 `[n, H, W]`.
        decoded: float32 `[n, 3, height, width]` in [-1, 1].
        scores: `psnr`, `ssim`, ... -> float64 `[n]`, one a picture.
        figures: the other measures by name; see `DEFINITIONS`.
        timing: how long it takes; None where that was not measured.
    """

    model: str
    tokens: Mapping[str, np.ndarray]
    decoded: np.ndarray
    scores: Mapping[str, np.ndarray]
    figures: Mapping[str, float]
    timing: Timing | None = None

    def row(self) -> dict[str, Any]:
        """Return all measures by name; of each score the mean, and `_low`, `_high`, `_std` over pictures; `pictures` is n."""
        row: dict[str, Any] = {"model": self.model, "pictures": len(self.decoded)}
        for name, values in self.scores.items():
            finite = values[np.isfinite(values)]
            row[name] = float(finite.mean()) if len(finite) else float("nan")
            row[f"{name}_low"] = float(values.min())
            row[f"{name}_high"] = float(values.max())
            row[f"{name}_std"] = float(finite.std(ddof=1)) if len(finite) > 1 else float("nan")
        return {**row, **self.figures, **({} if self.timing is None else self.timing.row())}


class LiveModels(Protocol):
    """Who has the live models of a data directory: the explorer."""

    data_dir: Path

    def live(self, model: str) -> Any:
        """Return the live model of that name."""
        ...


def image_tokenizer(models: LiveModels, model: str) -> Any:
    """Return a live `Tokenizer`.

    Raises:
        Unsupported: the model cannot turn pictures into tokens and back.
    """
    lacks = unsupported(model, "turn pictures into tokens and back")
    if catalog.find(model, models.data_dir).kind != "image":  # said before anything is loaded
        raise lacks
    live = models.live(model)
    if not {"encode", "decode"} <= live.capabilities:
        raise lacks
    return live


def common_size(tokenizers: Sequence[Tokenizer], size: int = 0) -> int:
    """Return the pixels a side that fit every tokenizer's cells: the largest that is not above `size`.

    Args:
        tokenizers: the models.
        size: wished for; 0: the largest of what their data sets show.

    Raises:
        BadInput: it is smaller than a cell.
    """
    step = math.lcm(*(tokenizer.cell for tokenizer in tokenizers))
    wished = size or max(tokenizer.size for tokenizer in tokenizers)
    if wished < step:
        raise BadInput(f"Pictures of {wished} pixels are too small: these tokenizers need multiples of {step}.")
    return wished - wished % step


def compare(
    tokenizers: Sequence[Tokenizer], pixels: np.ndarray, progress: Progress | None = None, *, timed: bool = True
) -> list[Compared]:
    """Encode and decode the same pictures with every tokenizer.

    Args:
        tokenizers: the models.
        pixels: float32 `[n, 3, height, width]` in [-1, 1].
        progress: told about each.
        timed: measure how long they take, which needs many more passes.

    Raises:
        BadInput: no pictures, or their size does not fit a tokenizer.
    """
    compared = []
    for number, tokenizer in enumerate(tokenizers):
        if progress is not None:
            progress(f"comparing {tokenizer.spec.name}", number, len(tokenizers))
        compared.append(_run(tokenizer, pixels))
    if timed:
        timings = time_passes(tokenizers, pixels, progress)
        compared = [dataclasses.replace(model, timing=timing) for model, timing in zip(compared, timings, strict=True)]
    if progress is not None:
        progress("comparing", len(tokenizers), len(tokenizers))
    return compared


def _run(tokenizer: Tokenizer, pixels: np.ndarray) -> Compared:
    tokens = {site: maps.codes for site, maps in tokenizer.encode(pixels).items()}
    decoded = tokenizer.decode(tokens)
    sizes = {info.site: info.num_codes for info in tokenizer.codebooks()}
    figures = usage(tokens, sizes, pixels.shape[2] * pixels.shape[3])
    return Compared(tokenizer.spec.name, tokens, decoded, scores(pixels, decoded), figures)


def usage(tokens: Mapping[str, np.ndarray], sizes: Mapping[str, int], pixels: int) -> dict[str, float]:
    """Say how the codes are used, and what the tokens cost.

    Args:
        tokens: site -> int `[n, H, W]`.
        sizes: site -> number of codes.
        pixels: of one picture.

    Returns:
        `codes, tokens_counted` (of one level), `used, reachable` (codes that as many tokens reach if all are equally
        likely), `utilization, ceiling, utilization_of_ceiling, perplexity, bits_per_pixel, bits_per_pixel_effective`; see
        `DEFINITIONS`.
    """
    counts = [np.bincount(ids[ids >= 0], minlength=sizes[site]) for site, ids in tokens.items()]
    counted, cells = next((ids.size, ids[0].size) for ids in tokens.values())
    use = token_use(counts, counted)
    return {
        "codes": use.codes,
        "tokens_counted": counted,
        "used": use.used,
        "reachable": use.reachable,
        "utilization": use.utilization,
        "ceiling": use.ceiling,
        "utilization_of_ceiling": use.of_ceiling,
        "perplexity": use.perplexity,
        "bits_per_pixel": cells * use.bits / pixels,
        "bits_per_pixel_effective": cells * use.bits_effective / pixels,
    }


def table(compared: Sequence[Compared]) -> pd.DataFrame:
    """Return one row a tokenizer: what `Compared.row` says."""
    return pd.DataFrame([model.row() for model in compared])


def picture_table(compared: Sequence[Compared], names: Sequence[str]) -> pd.DataFrame:
    """Return one row a picture and tokenizer: `picture, name, model`, its scores, and `disagreement`.

    Disagreement, the same for all tokenizers of a picture: dB between its best and its worst PSNR.
    """
    values = np.stack([model.scores["psnr"] for model in compared])  # [model, picture]
    finite = np.where(np.isfinite(values), values, 100.0)  # exact copies: beyond what eyes and 8 bits can tell
    spread = finite.max(0) - finite.min(0)
    return pd.DataFrame(
        [
            {
                "picture": i,
                "name": name,
                "model": model.model,
                **{score: float(of_pictures[i]) for score, of_pictures in model.scores.items()},
                "disagreement": float(spread[i]),
            }
            for i, name in enumerate(names)
            for model in compared
        ]
    )
