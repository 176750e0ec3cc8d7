"""Image tokenizers side by side on the same pictures: what is lost, what it costs, which codes are used, how long it takes."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pandas as pd

from backend import catalog
from backend.analysis.likeness import psnr, ssim
from backend.analysis.usage import utilization_ceiling
from backend.answers.live import TokenMap
from backend.errors import BadInput
from backend.families.kind import unsupported
from backend.types import CodebookInfo, ModelSpec, Progress

RUNS = 5  # timed passes over all pictures
DEFINITIONS = {
    "psnr": "peak signal-to-noise ratio in dB over red, green and blue, 8 bits; mean over pictures",
    "ssim": "structural similarity, gaussian window of 11 pixels, mean over colours and pictures",
    "feature_distance": "squared distance of normalised features of three fixed random convolutions (not LPIPS); mean",
    "utilization": "share of the codes that these pictures use at least once; mean over levels",
    "ceiling": "1 - exp(-T / K): the share that T tokens would use if they chose among K codes evenly; mean over levels",
    "perplexity": "exp of the entropy of the codes' use on these pictures; mean over levels",
    "bits_per_pixel": "cells x log2 K / pixels, summed over levels: what the tokens cost if all codes cost the same",
    "bits_per_pixel_effective": "cells x entropy / pixels: what an ideal coder that knows the codes' use would need",
    "encode_ms": f"milliseconds a picture, median of {RUNS} passes over all of them",
    "decode_ms": f"milliseconds a picture, median of {RUNS} passes over all of them",
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
    """

    model: str
    tokens: Mapping[str, np.ndarray]
    decoded: np.ndarray
    scores: Mapping[str, np.ndarray]
    figures: Mapping[str, float]

    def row(self) -> dict[str, Any]:
        """Return all measures by name; of each score the mean, and `_low`, `_high`, `_std` over pictures; `pictures` is n."""
        row: dict[str, Any] = {"model": self.model, "pictures": len(self.decoded)}
        for name, values in self.scores.items():
            finite = values[np.isfinite(values)]
            row[name] = float(finite.mean()) if len(finite) else float("nan")
            row[f"{name}_low"] = float(values.min())
            row[f"{name}_high"] = float(values.max())
            row[f"{name}_std"] = float(finite.std(ddof=1)) if len(finite) > 1 else float("nan")
        return {**row, **self.figures}


class Tokenizer(Protocol):
    """A live model of any family that turns pictures into tokens and back."""

    spec: ModelSpec
    capabilities: frozenset[str]

    @property
    def cell(self) -> int:
        """Pixels along one side of a code's cell."""
        ...

    @property
    def size(self) -> int:
        """Pixels a side of the pictures of its data set."""
        ...

    def codebooks(self) -> Sequence[CodebookInfo]:
        """Return all codebooks."""
        ...

    def encode(self, pixels: np.ndarray) -> Mapping[str, TokenMap]:
        """Encode pictures float32 `[n, 3, height, width]` in [-1, 1], by site."""
        ...

    def decode(self, tokens: Mapping[str, np.ndarray]) -> np.ndarray:
        """Make pictures float32 `[n, 3, height, width]` in [-1, 1] from tokens int `[n, H, W]`, by site."""
        ...


class LiveModels(Protocol):
    """Who has the live models of a data directory: the explorer."""

    data_dir: Path

    def live(self, model: str) -> Any:
        """Return the live model of that name."""
        ...


def image_tokenizer(models: LiveModels, model: str) -> Any:
    """Return a live `Tokenizer`.

    Raises:
        Unsupported: the model is none.
    """
    lacks = unsupported(model, "turn pictures into tokens and back")
    if catalog.find(model, models.data_dir).kind != "image":  # said before anything is loaded
        raise lacks
    live = models.live(model)
    if not {"encode", "decode"} <= live.capabilities:
        raise lacks
    return live


def common_size(tokenizers: Sequence[Tokenizer], size: int = 0) -> int:
    """Return pixels a side that fit every tokenizer's cells: the largest that is not above `size`.

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


def compare(tokenizers: Sequence[Tokenizer], pixels: np.ndarray, progress: Progress | None = None) -> list[Compared]:
    """Encode and decode the same pictures with every tokenizer.

    Args:
        tokenizers: the models.
        pixels: float32 `[n, 3, height, width]` in [-1, 1].
        progress: told about each.

    Raises:
        BadInput: no pictures, or their size does not fit a tokenizer.
    """
    compared = []
    for number, tokenizer in enumerate(tokenizers):
        if progress is not None:
            progress(f"comparing {tokenizer.spec.name}", number, len(tokenizers))
        compared.append(_run(tokenizer, pixels))
    if progress is not None:
        progress("comparing", len(tokenizers), len(tokenizers))
    return compared


def _run(tokenizer: Tokenizer, pixels: np.ndarray) -> Compared:
    tokens = {site: token_map.codes for site, token_map in tokenizer.encode(pixels).items()}
    decoded = tokenizer.decode(tokens)
    sizes = {info.site: info.num_codes for info in tokenizer.codebooks()}
    figures = {
        **usage(tokens, sizes, pixels.shape[2] * pixels.shape[3]),
        "encode_ms": _milliseconds(lambda: tokenizer.encode(pixels), len(pixels)),
        "decode_ms": _milliseconds(lambda: tokenizer.decode(tokens), len(pixels)),
    }
    return Compared(tokenizer.spec.name, tokens, decoded, scores(pixels, decoded), figures)


def usage(tokens: Mapping[str, np.ndarray], sizes: Mapping[str, int], pixels: int) -> dict[str, float]:
    """Return how the codes are used, and what the tokens cost.

    Args:
        tokens: site -> int `[n, H, W]`.
        sizes: site -> number of codes.
        pixels: of one picture.

    Returns:
        `codes, tokens_counted` (of one level), `used, utilization, ceiling, perplexity, bits_per_pixel,
        bits_per_pixel_effective`; see `DEFINITIONS`.
    """
    used: list[int] = []
    entropy: list[float] = []  # bits
    for ids in tokens.values():
        counts = np.unique(ids[ids >= 0], return_counts=True)[1]
        shares = counts / max(1, counts.sum())
        used.append(len(counts))
        entropy.append(max(0.0, float(-(shares * np.log2(shares)).sum())))
    codes = [sizes[site] for site in tokens]
    counted, cells = next((ids.size, ids[0].size) for ids in tokens.values())
    return {
        "codes": sum(codes),
        "tokens_counted": counted,
        "used": sum(used),
        "utilization": float(np.mean(np.divide(used, codes))),
        "ceiling": float(np.mean([utilization_ceiling(counted, size) for size in codes])),
        "perplexity": float(np.mean(np.exp2(entropy))),
        "bits_per_pixel": cells * sum(map(math.log2, codes)) / pixels,
        "bits_per_pixel_effective": cells * sum(entropy) / pixels,
    }


def _milliseconds(run: Callable[[], Any], pictures: int) -> float:
    seconds = []
    for _ in range(RUNS):
        started = time.perf_counter()
        run()
        seconds.append(time.perf_counter() - started)
    return float(np.median(seconds)) * 1000 / pictures


def table(compared: Sequence[Compared]) -> pd.DataFrame:
    """Return one row a tokenizer: what `Compared.row` says."""
    return pd.DataFrame([one.row() for one in compared])


def picture_table(compared: Sequence[Compared], names: Sequence[str]) -> pd.DataFrame:
    """Return one row a picture and tokenizer: `picture, name, model`, its scores, and `disagreement`.

    Disagreement, the same for all tokenizers of a picture: dB between its best and its worst PSNR.
    """
    values = np.stack([one.scores["psnr"] for one in compared])  # [model, picture]
    finite = np.where(np.isfinite(values), values, 100.0)  # exact copies: beyond what eyes and 8 bits can tell
    spread = finite.max(0) - finite.min(0)
    return pd.DataFrame(
        [
            {
                "picture": i,
                "name": name,
                "model": one.model,
                **{score: float(found[i]) for score, found in one.scores.items()},
                "disagreement": float(spread[i]),
            }
            for i, name in enumerate(names)
            for one in compared
        ]
    )


# -- token maps in colour ------------------------------------------------------------------------------------------


def code_colours(tokens: np.ndarray, table: np.ndarray) -> np.ndarray:
    """Return each cell's place on the three main axes of the code vectors in use, from -1 to 1 on each.

    Args:
        tokens: int `[n, H, W]`.
        table: float32 `[num_codes, dim]`.

    Returns:
        float64 `[n, H, W, 3]`; alike colours are alike codes.
    """
    rows = table[np.maximum(tokens, 0)].reshape(-1, table.shape[1]).astype(np.float64)
    rows -= rows.mean(0)
    axes = np.linalg.svd(rows.T @ rows)[2][:3]
    places = np.zeros((len(rows), 3))
    places[:, : len(axes)] = rows @ axes.T
    places /= np.maximum(1e-9, 2 * places.std(0))
    return places.clip(-1, 1).reshape(*tokens.shape, 3)


def turned_towards(colours: np.ndarray, first: np.ndarray) -> np.ndarray:
    """Return the colours of one token map turned so that they agree as well as they can with those of another (Procrustes).

    Args:
        colours: float `[n, H, W, 3]`.
        first: of the same pictures; its grid may be another.
    """
    rows = np.arange(colours.shape[1]) * first.shape[1] // colours.shape[1]
    columns = np.arange(colours.shape[2]) * first.shape[2] // colours.shape[2]
    goal = first[:, rows][:, :, columns].reshape(-1, 3)
    left, _, right = np.linalg.svd(colours.reshape(-1, 3).T @ goal)
    return (colours @ (left @ right)).clip(-1, 1)
