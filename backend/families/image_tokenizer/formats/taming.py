"""VQGAN checkpoints of taming-transformers and latent-diffusion (Esser, Rombach, Ommer, 2021), with their yaml.

All sizes are read off the weights. The yaml, given with `--base` or alone beside the checkpoint, must agree with them.
Level 0 of the file's decoder is the highest resolution, ours the lowest.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from backend.errors import CheckpointError
from backend.families.image_tokenizer.formats.image_weights import (
    ImportedTokenizer,
    Rule,
    assemble,
    find_file,
    read_state,
    translate,
)
from backend.formats.configurations import read_claims


def rules(names: Iterable[str]) -> tuple[Rule, ...]:
    """Return how the names of a file become ours; the number of levels is taken from them."""
    ups = [int(match[1]) for name in names if (match := re.match(r"decoder\.up\.(\d{1,4})\.", name))]
    last = max(ups, default=0)
    return (
        (r"^encoder\.down\.", "encoder.levels."),
        (r"^decoder\.up\.(\d{1,4})\.", lambda match: f"decoder.levels.{last - int(match[1])}."),
        (r"(levels\.\d+)\.block\.", r"\1.blocks."),
        (r"(levels\.\d+)\.attn\.", r"\1.attention."),
        (r"(levels\.\d+)\.(?:down|up)sample\.conv\.", r"\1.resample."),
        (r"\.mid\.block_1\.", ".mid.first."),
        (r"\.mid\.attn_1\.", ".mid.attention."),
        (r"\.mid\.block_2\.", ".mid.last."),
        (r"\.nin_shortcut\.", ".shortcut."),
        (r"\.proj_out\.", ".out."),
    )


def read(path: Path, base: Path | None) -> ImportedTokenizer:
    """Read a VQGAN of taming-transformers.

    Args:
        path: the `.ckpt` file, or a folder with one.
        base: the yaml it was trained with.

    Raises:
        CheckpointError: incomplete, unsafe, another quantizer, or contradicted by the yaml.
        BadInput: the folder holds none or several checkpoints.
    """
    file = find_file(path)
    claims = read_claims(path, base)
    state, warnings = read_state(file)
    if "gumbel" in str(claims.get("target", "")).lower() or "quantize.embed.weight" in state:
        raise CheckpointError(
            f"{file} is a Gumbel VQGAN: it chooses codes by a learned score and not by distance. That is not supported."
        )
    tensors = translate(state, rules(state), file)
    return assemble(tensors, tensors.take("quantize.embedding.weight"), claims=claims, warnings=warnings)
