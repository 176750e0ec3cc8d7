"""LlamaGen's image tokenizers VQ-8 and VQ-16 (Sun et al., 2024; github.com/FoundationVision/LlamaGen).

The file holds weights alone; all sizes are read off them. What they do not show is the format's own rule: latents and
codes are brought to length 1. A tokenizer with the same names and without that rule is FVQ's.
"""

from __future__ import annotations

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

RULES: tuple[Rule, ...] = (
    (r"\.conv_blocks\.(\d+)\.res\.", r".levels.\1.blocks."),
    (r"\.conv_blocks\.(\d+)\.attn\.", r".levels.\1.attention."),
    (r"\.conv_blocks\.(\d+)\.(?:down|up)sample\.conv\.", r".levels.\1.resample."),
    (r"\.mid\.0\.", ".mid.first."),
    (r"\.mid\.1\.", ".mid.attention."),
    (r"\.mid\.2\.", ".mid.last."),
    (r"\.nin_shortcut\.", ".shortcut."),
    (r"\.proj_out\.", ".out."),
)
EMBEDDING = "quantize.embedding.weight"
_OWN_DIM = 8


def read(path: Path, base: Path | None) -> ImportedTokenizer:
    """Read a LlamaGen tokenizer.

    Args:
        path: the `.pt` file, or a folder with one.
        base: optional: its configuration (JSON or YAML), held against the weights.

    Raises:
        CheckpointError: incomplete, unsafe, another format, or contradicted by the configuration.
        BadInput: the folder holds none or several checkpoints.
    """
    file = find_file(path)
    claims = read_claims(path, base, expect="codebook_size")
    if (claimed := claims.get("codebook_l2_norm")) not in (None, True):
        raise CheckpointError(
            f"The configuration of {file} says codebook_l2_norm {str(claimed)[:20]}; LlamaGen's codes are normalised. "
            "Import it with the format fvq, which has the same names and no normalisation."
        )
    state, warnings = read_state(file)
    if any(name.startswith("quantize.qbridge.") for name in state):
        raise CheckpointError(f"{file} holds a VQBridge (quantize.qbridge.*): import it with the format fvq.")
    tensors = translate(state, RULES, file)
    table = tensors.take(EMBEDDING)
    notes = list(warnings)
    if table.ndim == 2 and table.shape[1] > 4 * _OWN_DIM:
        notes.append(
            f"Codes have {table.shape[1]} values, LlamaGen's own {_OWN_DIM}: they are normalised as LlamaGen does. "
            "If this is an FVQ tokenizer, import it with the format fvq instead."
        )
    return assemble(tensors, table, normalized=True, claims=claims, warnings=notes)
