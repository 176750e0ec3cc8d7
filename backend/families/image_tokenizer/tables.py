"""The table `utilization`: every method at several sizes of table, with seeds and ablations, the settings as data.

Each row is trained with the same network, pictures, order of pictures, steps and schedule (tables of 102,400 codes all with
fewer steps; one, `...-long`, with sixteen times as many), then measured from its checkpoint. The papers' figures are those of
ImageNet at 256 pixels with another network: they stand in their own column. Nothing heavy is imported before a row is made
(`training.utilization`).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from backend.families.image_tokenizer.training.recipe import TOKENS_A_CODE, TokenizerRecipe
from backend.train.tables import Record, Reproduction, Table
from backend.types import ModelSpec

SCENES = {"name": "scenes", "size": 32}
STEPS, LARGE_STEPS = 1500, 800
SIZES = (1024, 4096, 16_384)
LARGE = 102_400
DEMOS = {"scenes-fvq-4096": 3, "scenes-vq-1024": 5, "scenes-fvq-102400": 7}  # place in the Overview's gallery


@dataclass(frozen=True)
class ImageRow:
    """One trained tokenizer of the comparison.

    Attributes:
        model: its name; seeds after the first end it with `-seed1` and so on.
        recipe: how it is trained.
        seed: of the training.
        paper: published figures of this kind of model at this size or the nearest, with `source`.
        note: what is special about it; empty for the methods as they are.
        tokens_a_code: tokens that its use is counted over, for each code.
    """

    model: str
    recipe: TokenizerRecipe
    seed: int = 0
    paper: Mapping[str, Any] = field(default_factory=dict)
    note: str = ""
    tokens_a_code: int = TOKENS_A_CODE

    @property
    def spec(self) -> ModelSpec:
        """Its catalog entry."""
        from backend.families.image_tokenizer.training.tokenizer_models import tokenizer_spec

        spec = tokenizer_spec(self.model, self.recipe, self.paper, DEMOS.get(self.model, 0))
        return dataclasses.replace(spec, title=f"{spec.title}; {self.note}") if self.note else spec


def _paper(source: str, utilization: float, rfid: float | None = None) -> dict[str, Any]:
    figures: dict[str, Any] = {"source": f"{source}, ImageNet 256", "utilization": utilization / 100}
    return figures if rfid is None else {**figures, "rfid": rfid}


_LC = "VQGAN-LC paper (arXiv 2406.11837)"
_FVQ = "FVQ paper (arXiv 2509.10140)"
_VQ_16K = _paper(f"VQGAN, 16,384 codes, {_FVQ}", 5.9, 4.98)
_FVQ_16K = _paper(f"FVQ, 16,384 codes, 40 epochs, {_FVQ}", 100.0, 1.30)
PAPER: dict[tuple[str, int], dict[str, Any]] = {
    **{("vq", codes): _VQ_16K for codes in SIZES},
    ("vq", LARGE): _paper(f"VQGAN, 100,000 codes, {_LC}", 0.5, 5.44),
    **{("fvq", codes): _FVQ_16K for codes in SIZES},
    ("fvq", LARGE): _paper(f"FVQ, 65,536 codes, 120 epochs, {_FVQ}", 100.0, 1.00),
    ("lc", 1024): _paper(f"VQGAN-LC, 1,000 codes, {_LC}", 100.0, 4.98),
    ("lc", 4096): _paper(f"VQGAN-LC, 10,000 codes, {_LC}", 99.8, 3.80),
    ("lc", 16_384): _paper(f"VQGAN-LC, 16,384 codes, {_LC}", 99.9, 3.01),
    ("lc", LARGE): _paper(f"VQGAN-LC, 100,000 codes, {_LC}", 99.9, 2.62),
    ("fc", 16_384): _paper(f"VQGAN-FC, 16,384 codes, {_LC}", 11.2, 4.29),
    ("ema", 16_384): _paper(f"VQGAN-EMA, 16,384 codes, {_LC}", 83.2, 3.41),
}


def _row(method: str, codes: int, seed: int = 0) -> ImageRow:
    steps = LARGE_STEPS if codes == LARGE else STEPS
    recipe = TokenizerRecipe(SCENES, method, codes, steps=steps)
    suffix = f"-seed{seed}" if seed else ""
    return ImageRow(recipe.model + suffix, recipe, seed, PAPER.get((method, codes), {}))


def _ablation(name: str, note: str, method: str, paper: Mapping[str, Any] | None = None, **changes: Any) -> ImageRow:
    recipe = dataclasses.replace(_row(method, 4096).recipe, **changes)
    return ImageRow(f"scenes-{name}-4096", recipe, paper=paper or {}, note=note)


def _longer(method: str, steps: int, tokens_a_code: int) -> ImageRow:
    """Make the row of 102,400 codes trained longer and counted over more tokens: is what is unused dead, or rare?"""
    row = _row(method, LARGE)
    return dataclasses.replace(
        row,
        model=f"{row.model}-long",
        recipe=dataclasses.replace(row.recipe, steps=steps),
        note=f"{steps:,} steps, counted over {tokens_a_code} tokens a code",
        tokens_a_code=tokens_a_code,
    )


# in the order in which they are made, what tells most first
ROWS: tuple[ImageRow, ...] = (
    *(_row(method, codes) for codes in SIZES for method in ("fvq", "vq")),
    *(_row(method, LARGE) for method in ("fvq", "lc", "vq")),
    *(_row("lc", codes) for codes in reversed(SIZES)),
    _ablation("fvq-constant-lr", "without annealing", "fvq", anneal=False),
    _ablation("fvq-random-init", "last layer of the bridge not zero", "fvq", settings={"zero": False}),
    _ablation(
        "lc-random",
        "frozen random codes, with projector",
        "lc",
        _paper(f"frozen random codes, {_LC}", 5.4),
        features="random",
    ),
    _ablation(
        "lc-no-projector",
        "frozen features without projector",
        "lc",
        _paper(f"Table 10, {_LC}", 3.9),
        settings={"projector": False},
    ),
    *(_row(method, codes, seed) for seed in (1, 2) for codes in (1024, 4096) for method in ("fvq", "vq")),
    *(_row(method, 4096) for method in ("ema", "reset", "fc", "simvq")),
    *(_row(method, 16_384, seed) for seed in (1, 2) for method in ("fvq", "vq")),
    _row("fsq", 4375),
    _row("rvq", 1024),
    _ablation("simvq-constant-lr", "without annealing", "simvq", anneal=False),
    *(_row(method, codes) for codes in (16_384, 1024) for method in ("ema", "reset", "fc", "simvq")),
    _longer("lc", 16 * LARGE_STEPS, 100),
)


def _make(request: Reproduction) -> Iterator[Record]:
    from backend.families.image_tokenizer.training.utilization import make_utilization

    return make_utilization(ROWS, request)


_ABOUT = "every method of image tokenizers at several sizes of table"
TABLES = {"utilization": Table(_ABOUT, tuple(row.model for row in ROWS), _make, alone=True)}
