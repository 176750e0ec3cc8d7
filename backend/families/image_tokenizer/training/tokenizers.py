"""Training image tokenizers: one loop for all methods, with the same network, pictures, order, steps and schedule.

1. Encode a batch; the nearest code of every latent is its token (`backend.nn.nearest`; no full matrix, no one-hot rows).
2. The decoder gets the codes, the encoder the decoder's gradient straight through.
3. Loss: squared error of pixels, a little of their gradients', and the method's own: codes to latents, latents to codes.
4. The learning rate rises for a tenth of the steps, holds for three tenths of the rest and falls (to 1 %) in a line, as FVQ
   was released. Adam with (0.9, 0.95); gradients are clipped at 1.
5. At the end the table is made once more and kept; what produced it is thrown away or kept beside it.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import embedding

from backend.analysis.seeds import numbered
from backend.analysis.usage import utilization_ceiling
from backend.errors import TrainingError
from backend.families.image_tokenizer.training.picture_features import (
    feature_network,
    read_features,
    select_features,
    train_features,
)
from backend.families.image_tokenizer.training.pools import Pool, open_pool
from backend.families.image_tokenizer.training.recipe import FEATURE_WIDTH, TokenizerRecipe
from backend.families.image_tokenizer.training.work import FEATURES, PICTURES, SELECTION, TRAINING
from backend.nn.image_net import Encoder
from backend.nn.image_tokenizer import ImageTokenizer, TokenizerConfig, cells_of_rows, rows_of_cells
from backend.nn.nearest import nearly_nearest, spread_over_equals
from backend.nn.tables import SHARE_BEFORE_START, CodeTable, make_table
from backend.train.runs import Run
from backend.train.states import read_state, write_state

WINDOW = 4  # training tokens a code that the utilization of the curve is counted over
POINTS = 40  # of the curve


@dataclass(frozen=True)
class Trained:
    """What training made.

    Attributes:
        model: the tokenizer, its table folded.
        producer: what its table was produced by; None where the table itself was trained.
        method: `{"name", "dim", "settings"}` for the checkpoint.
        curve: while training: `step`, `utilization` of the last `tokens` training tokens, their `ceiling`, `error` (squared,
            of pixels), `seconds`.
    """

    model: ImageTokenizer
    producer: CodeTable | None
    method: Mapping[str, Any]
    curve: Sequence[Mapping[str, float]]


class Learner(nn.Module):
    """Network and tables together, as they train."""

    def __init__(self, recipe: TokenizerRecipe, features: Tensor | None) -> None:
        """Start with random weights; `features`: of `lc`, see `make_table`."""
        super().__init__()
        count = recipe.levels if recipe.method == "rvq" else 1
        normalized = recipe.method == "fc"
        config = TokenizerConfig("small", recipe.network.to_json(), (recipe.codes,) * count, normalized)
        self.net = ImageTokenizer(config)
        self.tables = nn.ModuleList(
            make_table(recipe.method, recipe.codes, recipe.code_dim, recipe.settings, features) for _ in range(count)
        )
        self.recipe = recipe

    def forward(self, images: Tensor, quantize: bool) -> tuple[Tensor, Tensor, list[Tensor]]:
        """Return pictures, the loss of the codes, and the ids that each table's rows chose."""
        latents = self.net.encode(images)
        if not quantize:
            return self.net.decode(latents), latents.new_zeros(()), []
        rows = left = rows_of_cells(latents)
        loss, chosen, tokens = latents.new_zeros(()), torch.zeros_like(rows), []
        for method in self.tables:
            assert isinstance(method, CodeTable)
            table = method.table()
            ids = spread_over_equals(nearly_nearest(left, table), table)
            codes = embedding(ids, table)
            loss = loss + method.codebook * (codes - left.detach()).square().mean()
            loss = loss + method.commitment * (left - codes.detach()).square().mean()
            method.learn(left.detach(), ids)
            left, chosen = left - codes.detach(), chosen + codes.detach()
            tokens.append(ids)
        straight = rows + (chosen - rows).detach()
        return self.net.decode(cells_of_rows(straight, latents.shape)), loss, tokens

    def fold(self) -> ImageTokenizer:
        """Return the finished tokenizer, on the network's own weights."""
        with torch.no_grad():
            for place, method in zip(self.net.tables, self.tables, strict=True):
                assert isinstance(method, CodeTable)
                place.copy_(method.table())
        return self.net.requires_grad_(False).eval()


def train_tokenizer(recipe: TokenizerRecipe, run: Run, pools: Path) -> Trained:
    """Train from scratch.

    Args:
        recipe: what and how.
        run: seed, device, where the state and the log go, whether to go on from the state.
        pools: folder in which drawn pictures are kept.

    Raises:
        UsageError: sizes that the method cannot have.
        BadInput: a person's own pictures or features cannot be used.
        CheckpointError: the state belongs to another run.
        TrainingError: the loss is no longer a number.
    """
    if recipe.method == "lc" and recipe.features not in ("autoencoder", "random"):
        read_features(Path(recipe.features), recipe.codes, run.seed)  # before anything takes long
    device = run.torch_device
    pool = open_pool(recipe.dataset, pools, recipe.pool, run.progress_of(PICTURES))
    state = read_state(run.saved, _identity(recipe, run)) if run.saved is not None else {}
    features, extractor = _features(recipe, run, pool, state)
    torch.manual_seed(run.seed)
    learner = Learner(recipe, features).to(device)
    optimizer = torch.optim.Adam([p for p in learner.parameters() if p.requires_grad], lr=recipe.lr, betas=(0.9, 0.95))
    window = torch.full((WINDOW * recipe.codes,), -1, dtype=torch.int32)
    first, tokens, curve, spent = 0, 0, list[dict[str, float]](), 0.0
    if state:
        learner.load_state_dict(state["learner"])
        optimizer.load_state_dict(state["optimizer"])
        window, first, tokens, curve, spent = (state[k] for k in ("window", "step", "tokens", "curve", "seconds"))
    began = time.monotonic() - spent
    generator = torch.Generator()
    method = learner.tables[0]
    assert isinstance(method, CodeTable)
    starts_at = int(SHARE_BEFORE_START * recipe.steps) if method.warms_up else 0
    learner.train()
    progress, shown = run.progress_of(TRAINING), f"training {recipe.method}"
    if progress:
        progress(shown, first, recipe.steps)
    for step in range(first, recipe.steps):
        if step == starts_at:
            _start(learner, method, extractor, pool, device, run.seed)
        for group in optimizer.param_groups:
            group["lr"] = recipe.lr * recipe.rate(step)
        generator.manual_seed(numbered(run.seed, "training batches", step))
        images = pool.batch(recipe.batch, generator).to(device)
        decoded, code_loss, ids = learner(images, quantize=step >= starts_at)
        error = (decoded - images).square().mean()
        loss = error + code_loss + recipe.edges * _edge_error(decoded, images)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(learner.parameters(), 1.0)
        optimizer.step()
        if ids:
            tokens = _note(window, ids[0], tokens)
        done = step + 1
        if done % max(1, recipe.steps // POINTS) == 0 or done == recipe.steps:
            point = _point(done, window, tokens, recipe.codes, float(error.detach()), time.monotonic() - began)
            if not math.isfinite(float(loss.detach())):
                raise TrainingError(f"The loss is {float(loss)} at step {done}. Start again with a lower --lr.")
            curve.append(point)
            shown = _note_point(run, recipe, point)
        if progress:
            progress(shown, done, recipe.steps)
        if run.state is not None and recipe.save_every and done % recipe.save_every == 0 and done < recipe.steps:
            counts = {
                "window": window,
                "step": done,
                "tokens": tokens,
                "curve": curve,
                "seconds": time.monotonic() - began,
            }
            nets = {"learner": learner.state_dict(), "optimizer": optimizer.state_dict()}
            frozen = {"extractor": extractor.state_dict() if extractor is not None else {}}
            write_state(run.state, _identity(recipe, run), counts | nets | frozen)
    learner.to("cpu")
    about = {"name": recipe.method, "dim": recipe.code_dim, "settings": dict(recipe.settings)}
    return Trained(learner.fold(), method if method.produced else None, about, curve)


def _features(
    recipe: TokenizerRecipe, run: Run, pool: Pool, state: Mapping[str, Any]
) -> tuple[Tensor | None, Encoder | None]:
    """Return the frozen features of `lc`, and the network that made them where there is one."""
    if recipe.method != "lc":
        return None, None
    if recipe.features == "random":
        return torch.randn(recipe.codes, FEATURE_WIDTH, generator=torch.Generator().manual_seed(run.seed)), None
    if recipe.features != "autoencoder":
        return read_features(Path(recipe.features), recipe.codes, run.seed), None
    seed = run.seed + 7919  # not the tokenizer's, which would be a head start
    if state:
        extractor = feature_network(recipe.downsampling).eval()
        extractor.load_state_dict(state["extractor"])
        return state["learner"]["tables.0.codes"], extractor
    extractor = train_features(pool, recipe.downsampling, seed, progress=run.progress_of(FEATURES))
    return select_features(extractor, pool, recipe.codes, seed, progress=run.progress_of(SELECTION)), extractor


@torch.no_grad()
def _start(
    learner: Learner, method: CodeTable, extractor: Encoder | None, pool: Pool, device: torch.device, seed: int
) -> None:
    """Show the table the latents, and the features, of 256 pictures."""
    generator = torch.Generator().manual_seed(seed + 1)
    images = torch.cat([pool.batch(32, generator) for _ in range(8)])
    latents = rows_of_cells(torch.cat([learner.net.encode(part.to(device)) for part in images.split(32)])).cpu()
    features = None
    if extractor is not None:
        features = rows_of_cells(torch.cat([extractor(part) for part in images.split(32)]))
    method.cpu().start(latents, features)
    method.to(device)


def _edge_error(decoded: Tensor, images: Tensor) -> Tensor:
    """Return the squared error of the differences between neighbouring pixels."""
    off = decoded - images
    return off.diff(dim=-1).square().mean() + off.diff(dim=-2).square().mean()


def _note(window: Tensor, ids: Tensor, tokens: int) -> int:
    """Keep the newest training tokens; returns how many there have been."""
    place = (tokens + torch.arange(len(ids))) % len(window)
    window[place] = ids.to("cpu", torch.int32)
    return tokens + len(ids)


def _point(step: int, window: Tensor, tokens: int, codes: int, error: float, seconds: float) -> dict[str, float]:
    counted = min(tokens, len(window))
    used = len(window[window >= 0].unique())
    return {
        "step": step,
        "utilization": round(used / codes, 6),
        "ceiling": round(float(utilization_ceiling(counted, codes)), 6),
        "tokens": counted,
        "error": round(error, 6),
        "seconds": round(seconds, 1),
    }


def _note_point(run: Run, recipe: TokenizerRecipe, point: Mapping[str, float]) -> str:
    """Add a point to the log; returns it for people."""
    if run.log is not None:
        with run.log.open("a", encoding="utf-8") as file:
            file.write(json.dumps(point) + "\n")
    return f"training {recipe.method}, error {point['error']:.4f}, utilization {100 * point['utilization']:.1f} %"


def _identity(recipe: TokenizerRecipe, run: Run) -> str:
    return json.dumps({**recipe.to_json(), "seed": run.seed}, sort_keys=True)
