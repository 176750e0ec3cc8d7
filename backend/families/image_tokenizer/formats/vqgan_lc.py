"""VQGAN-LC (Zhu et al., NeurIPS 2024; github.com/zh460045050/VQGAN-LC): frozen features and a projector make the codes.

The projector, one linear layer or two with a ReLU between, is applied to all features once: what remains is a plain
VQGAN. Names of the network are taming's. The `embed_dim` of its yaml is not the one used, so it is not looked at.
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor
from torch.nn.functional import linear

from backend.errors import CheckpointError
from backend.families.image_tokenizer.formats.image_weights import (
    ImportedTokenizer,
    Translated,
    assemble,
    check_tensor,
    find_file,
    read_state,
    translate,
)
from backend.families.image_tokenizer.formats.taming import rules
from backend.formats.configurations import read_claims

_FEATURES, _PROJECTOR = "tok_embeddings.weight", "codebook_projection."


def read(path: Path, base: Path | None) -> ImportedTokenizer:
    """Read a VQGAN-LC tokenizer.

    Args:
        path: the `.pth` file, or a folder with one (beside a `codebook*.pth` of bare features).
        base: optional: its yaml, held against the weights.

    Raises:
        CheckpointError: incomplete, unsafe, or contradicted by the yaml.
        BadInput: the folder holds none or several checkpoints.
    """
    file = find_file(path, skip="codebook")
    claims = {key: value for key, value in read_claims(path, base).items() if key != "embed_dim"}
    state, warnings = read_state(file)
    tensors = translate(state, rules(state), file)
    table = _fold(tensors)
    return assemble(tensors, table, claims=claims, warnings=warnings)


@torch.no_grad()
def _fold(tensors: Translated) -> Tensor:
    """Return the codes that the projector makes of the features: `[num_codes, code_dim]`."""
    codes = tensors.take(_FEATURES)
    parts = {name.removeprefix(_PROJECTOR): name for name in list(tensors.rest) if name.startswith(_PROJECTOR)}
    layers = {
        frozenset(): (),
        frozenset({"weight", "bias"}): ("",),
        frozenset({"0.weight", "0.bias", "2.weight", "2.bias"}): ("0.", "2."),
    }.get(frozenset(parts))
    if layers is None or codes.ndim != 2:
        raise CheckpointError(
            f"{tensors.source}: the codebook is {tuple(codes.shape)} and its projector has {sorted(parts)[:8]}; a table "
            "and one linear layer, or two (0 and 2), were expected."
        )
    for i, layer in enumerate(layers):
        weight, bias = tensors.take(f"{_PROJECTOR}{layer}weight"), tensors.take(f"{_PROJECTOR}{layer}bias")
        if weight.ndim != 2 or weight.shape[1] != codes.shape[1] or bias.shape != weight.shape[:1]:
            raise CheckpointError(
                f"{tensors.source}: {_PROJECTOR}{layer}weight {tuple(weight.shape)} does not fit codes of "
                f"{codes.shape[1]} values."
            )
        codes = linear(codes.relu() if i else codes, weight, bias)
    return check_tensor("the projected codebook", codes, tensors.source)
