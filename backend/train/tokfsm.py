"""Training codebook transformers on a finite-state machine, in the order that works at small scale.

1. Pretrain the model without codebooks, or start from a base that is there.
2. Put codebooks in, with tables from k-means on the base's own activations, layer after layer.
3. Fine-tune everything for a short while, at a modest learning rate, with the autoencoding and a commitment loss, on the
   base's own next-token distribution: sampled next states are so noisy a target here that they spoil the codes first.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from transformers import GPT2Config, GPTNeoXConfig, PretrainedConfig

from backend.data.fsm import Machine
from backend.errors import UsageError
from backend.families.checkpoint import build_model, load_checkpoint
from backend.nn.insertion import CodebookTransformer
from backend.nn.placement import Placement
from backend.train.codebooks import Progress, Recipe, initialize, train

BACKBONES = ("gpt2", "gpt_neox")


@dataclass(frozen=True)
class Shape:
    """Size of the model without codebooks.

    Attributes:
        backbone: `gpt2` (learned positions, feed-forward after attention) or `gpt_neox` (rotary positions; the paper's).
        layers, dim, heads, mlp: decoder layers, width, attention heads, width of the feed-forward activation.
    """

    backbone: str = "gpt2"
    layers: int = 2
    dim: int = 128
    heads: int = 4
    mlp: int = 512

    def __post_init__(self) -> None:
        if self.backbone not in BACKBONES:
            raise UsageError(f"Unknown backbone {self.backbone!r}; known: {', '.join(BACKBONES)}.")
        if min(self.layers, self.dim, self.heads, self.mlp) < 1 or self.dim % self.heads:
            raise UsageError(
                f"A width of {self.dim} cannot be split over {self.heads} heads; sizes must be at least 1."
            )

    def config(self, machine: Machine) -> PretrainedConfig:
        """The Hugging Face configuration."""
        common: dict[str, Any] = {
            "vocab_size": machine.vocabulary,
            "bos_token_id": machine.bos,
            "eos_token_id": machine.bos,
        }
        if self.backbone == "gpt2":
            return GPT2Config(
                n_embd=self.dim,
                n_layer=self.layers,
                n_head=self.heads,
                n_inner=self.mlp,
                n_positions=machine.length,
                resid_pdrop=0.0,
                activation_function="gelu_pytorch_tanh",
                embd_pdrop=0.0,
                attn_pdrop=0.0,
                **common,
            )
        return GPTNeoXConfig(
            hidden_size=self.dim,
            num_hidden_layers=self.layers,
            num_attention_heads=self.heads,
            intermediate_size=self.mlp,
            max_position_embeddings=machine.length,
            tie_word_embeddings=False,
            **common,
        )


class WalkBatches:
    """Fresh random walks as token ids, made on the generator's device."""

    def __init__(self, machine: Machine) -> None:
        """Keep the machine's tables as tensors."""
        self.machine = machine
        self._successors = torch.from_numpy(machine.successors)
        self._written = torch.from_numpy(machine.written)

    def __call__(self, rows: int, generator: torch.Generator) -> Tensor:
        """int64 `[rows, length]`."""
        machine, device = self.machine, generator.device
        if self._successors.device != device:
            self._successors, self._written = self._successors.to(device), self._written.to(device)
        walk = torch.empty((rows, machine.walk_length), dtype=torch.int64, device=device)
        walk[:, 0] = torch.randint(machine.states, (rows,), generator=generator, device=device)
        picks = torch.randint(machine.edges, walk.shape, generator=generator, device=device)
        for step in range(1, machine.walk_length):
            walk[:, step] = self._successors[walk[:, step - 1], picks[:, step]]
        digits = self._written[walk].flatten(1)[:, : machine.length - 1]
        return torch.cat((torch.full((rows, 1), machine.bos, device=device), digits), dim=1)


def train_base(
    machine: Machine,
    shape: Shape,
    recipe: Recipe,
    *,
    seed: int = 0,
    device: str = "auto",
    state: Path | None = None,
    resume: bool = False,
    progress: Progress | None = None,
    log: Path | None = None,
) -> CodebookTransformer:
    """Train a model without codebooks from scratch."""
    torch.manual_seed(seed)
    model = build_model(shape.config(machine), ())
    train(
        model,
        WalkBatches(machine),
        recipe,
        seed=seed,
        device=device,
        state=state,
        resume=resume,
        progress=progress,
        log=log,
    )
    return model


def train_codebooks(
    base: Path,
    machine: Machine,
    placements: tuple[Placement, ...],
    recipe: Recipe,
    *,
    how: str = "kmeans",
    seed: int = 0,
    device: str = "auto",
    state: Path | None = None,
    resume: bool = False,
    progress: Progress | None = None,
    log: Path | None = None,
) -> CodebookTransformer:
    """Put codebooks into a trained base (a checkpoint folder) and fine-tune everything."""
    torch.manual_seed(seed)
    plain = load_checkpoint(base).model
    model = CodebookTransformer(plain, placements)
    batch = WalkBatches(machine)
    if not (resume and state is not None and state.exists()):
        model.to("cuda" if device != "cpu" and torch.cuda.is_available() else "cpu")
        initialize(model, batch, how, seed=seed, progress=progress)
    teacher = load_checkpoint(base).to(model.model.device) if recipe.distill else None
    train(
        model,
        batch,
        recipe,
        seed=seed + 1,
        device=device,
        state=state,
        resume=resume,
        progress=progress,
        log=log,
        teacher=teacher,
    )
    return model
