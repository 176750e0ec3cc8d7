"""The training loop that every codebook transformer shares: language-model loss, codebook loss, one step after another.

1. `Recipe.rate` warms the learning rate up, holds it and lets it fall (linearly) to a tenth.
2. Each step asks for a batch of token ids made on the device, adds up the losses, clips the gradient, steps AdamW
   (codebooks and vectors without weight decay).
3. Now and then codes that nothing chose restart at current activations.
4. Every `save_every` steps everything needed to go on is written; a killed run started again with `resume` goes on there.
"""

from __future__ import annotations

import json
import math
import time
from pathlib import Path

import torch
from accelerate import Accelerator
from accelerate.utils import DistributedDataParallelKwargs, broadcast
from torch import Tensor, nn

from backend.analysis.seeds import numbered
from backend.errors import CheckpointError, TrainingError
from backend.families.transformer.training.batches import Batch
from backend.families.transformer.training.recipe import Recipe
from backend.families.transformer.training.work import TRAINING
from backend.nn.insertion.bottleneck import CodebookLayer
from backend.nn.insertion.model import CodebookTransformer
from backend.train.runs import Run
from backend.train.states import read_state, write_state


def train(
    model: CodebookTransformer,
    batch: Batch,
    recipe: Recipe,
    seed: int,
    run: Run,
    teacher: nn.Module | None = None,
) -> float:
    """Train in place; returns the mean language-model loss (nats per token) of the last tenth of the steps.

    Args:
        model: what to train, codebooks in place.
        batch: makes token ids on the device of the generator.
        recipe: how.
        seed: of the batches.
        run: device, state, log; started under `accelerate launch` on `auto` it uses all GPUs.
        teacher: the plain model, for `Recipe.distill`; a gradient from distributions has none of the noise of sampled tokens.

    Raises:
        CheckpointError: the state belongs to another run.
        TrainingError: the loss is no longer a number.
    """
    state, log = run.state, run.log
    standing = not recipe.straight_through and not recipe.commitment  # there are weights without a gradient
    idle = DistributedDataParallelKwargs(find_unused_parameters=standing)
    accelerator = Accelerator(cpu=run.device == "cpu", kwargs_handlers=[idle])
    for layer in _layers(model):
        layer.autoencoding, layer.commitment = recipe.autoencoding, recipe.commitment
        layer.straight_through = recipe.straight_through
    decayed = [p for n, p in model.named_parameters() if p.ndim > 1 and not n.startswith("codebooks.")]
    plain = [p for n, p in model.named_parameters() if p.ndim <= 1]
    tables = [layer.table for layer in _layers(model)]
    groups = [
        {"params": decayed, "weight_decay": recipe.weight_decay, "factor": 1.0},
        {"params": plain, "weight_decay": 0.0, "factor": 1.0},
        {"params": tables, "weight_decay": 0.0, "factor": recipe.codebook_lr},
    ]
    optimizer = torch.optim.AdamW([g for g in groups if g["params"]], lr=recipe.lr, betas=(0.9, 0.98))
    start = 0
    identity = repr(recipe)
    if run.saved is not None:
        start = _restore(run.saved, identity, model, optimizer)
    wrapped, optimizer = accelerator.prepare(model, optimizer)
    generator = torch.Generator(accelerator.device)
    losses = torch.full((recipe.steps,), math.nan, device=accelerator.device)
    began = time.monotonic()
    wrapped.train()
    progress, shown = run.progress_of(TRAINING), "training"
    for step in range(start, recipe.steps):
        generator.manual_seed(numbered(seed, "training batches", step) * 64 + accelerator.process_index)
        for group in optimizer.param_groups:
            group["lr"] = recipe.lr * group["factor"] * recipe.rate(step)
        tokens = batch(recipe.batch, generator)
        if progress and step == start:  # the first batch may have taken a while
            progress(shown, start, recipe.steps)
        logits = wrapped(input_ids=tokens, use_cache=False).logits
        goal = tokens[:, 1:].flatten() if teacher is None else _distribution(teacher, tokens)
        loss = nn.functional.cross_entropy(logits[:, :-1].flatten(0, 1).float(), goal)
        accelerator.backward(loss + model.loss())
        accelerator.clip_grad_norm_(wrapped.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        done = step + 1
        # not a list of tensors: those would keep the memory between them from being used again
        losses[step] = loss.detach()
        if recipe.reset_every and done % recipe.reset_every == 0 and done < recipe.steps * 0.9:
            reset_dead_codes(model, tokens, numbered(seed, "code restarts", step), accelerator)
        if done % 50 == 0 or done == recipe.steps:
            mean = float(losses[max(start, done - 50) : done].mean())
            if not math.isfinite(mean):
                raise TrainingError(f"The loss is {mean} at step {done}. Start again with a lower learning rate.")
            shown = f"training, loss {mean:.4f}"
            if log is not None and accelerator.is_main_process:
                seconds = time.monotonic() - began
                row = {
                    "step": done,
                    "loss": mean,
                    "codebook_loss": float(model.loss().detach()),
                    "seconds": round(seconds, 1),
                }
                with log.open("a", encoding="utf-8") as file:
                    file.write(json.dumps(row) + "\n")
        if progress:
            progress(shown, done, recipe.steps)
        if state is not None and recipe.save_every and done % recipe.save_every == 0 and accelerator.is_main_process:
            write_state(
                state, identity, {"step": done, "model": model.state_dict(), "optimizer": optimizer.state_dict()}
            )
    model.eval()
    return float(losses[max(start, recipe.steps - max(1, recipe.steps // 10)) :].mean())


@torch.no_grad()
def reset_dead_codes(
    model: CodebookTransformer, tokens: Tensor, seed: int, accelerator: Accelerator | None = None
) -> int:
    """Restart codes that were not chosen since the last call at activations of these tokens; returns how many."""
    generator = torch.Generator().manual_seed(seed)
    total = 0
    training = model.training
    model.eval()
    for name in model.codebooks:
        layer = model.layer(name)
        if accelerator is not None and accelerator.num_processes > 1:
            layer.usage.copy_(accelerator.reduce(layer.usage, "sum"))
        seen: list[Tensor] = []
        with model.collecting(name, seen.append):
            model(input_ids=tokens, use_cache=False)
        total += layer.reset_dead_rows(seen[0], generator=generator)
        if accelerator is not None and accelerator.num_processes > 1:
            layer.table.copy_(broadcast(layer.table.data))
    model.train(training)
    return total


@torch.no_grad()
def _distribution(teacher: nn.Module, tokens: Tensor) -> Tensor:
    """Return the next-token probabilities of every position but the last, float `[rows * (length - 1), vocabulary]`."""
    return teacher(input_ids=tokens, use_cache=False).logits[:, :-1].flatten(0, 1).float().softmax(-1)


def _layers(model: CodebookTransformer) -> list[CodebookLayer]:
    return [model.layer(name) for name in model.codebooks]


def _restore(path: Path, identity: str, model: nn.Module, optimizer: torch.optim.Optimizer) -> int:
    """Take over a saved state; returns the steps done."""
    content = read_state(path, identity)
    try:
        model.load_state_dict(content["model"])
        optimizer.load_state_dict(content["optimizer"])
        return int(content["step"])
    except (RuntimeError, KeyError, ValueError) as error:
        raise CheckpointError(f"{path} cannot be read ({error}). Delete it to start again.") from error
