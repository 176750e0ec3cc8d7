"""Folders of diffusers' `VQModel`: aMUSEd, VQ-Diffusion, latent diffusion, and MoVQ with its spatial normalisation.

`config.json` says what the weights do not: the groups of the normalisation and its kind. All that both say must agree.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from torch import Tensor

from backend.errors import CheckpointError
from backend.families.image_tokenizer.formats.image_weights import ImportedTokenizer, Rule, assemble, translate
from backend.formats.checkpoints import DIFFUSERS, read_json, read_weights

_RULES: tuple[Rule, ...] = (
    (r"\.(?:down|up)_blocks\.(\d{1,4})\.resnets\.", r".levels.\1.blocks."),
    (r"\.(?:down|up)_blocks\.(\d{1,4})\.attentions\.", r".levels.\1.attention."),
    (r"\.(?:down|up)_blocks\.(\d{1,4})\.(?:down|up)samplers\.0\.conv\.", r".levels.\1.resample."),
    (r"\.mid_block\.resnets\.0\.", ".mid.first."),
    (r"\.mid_block\.attentions\.0\.", ".mid.attention."),
    (r"\.mid_block\.resnets\.1\.", ".mid.last."),
    (r"\.conv_shortcut\.", ".shortcut."),
    (r"\.conv_norm_out\.", ".norm_out."),
    (r"\.(?:group_norm|spatial_norm)\.", ".norm."),
    (r"\.norm_layer\.", "."),
    (r"\.conv_y\.", ".scale."),
    (r"\.conv_b\.", ".shift."),
    (r"\.(?:to_q|query)\.", ".q."),
    (r"\.(?:to_k|key)\.", ".k."),
    (r"\.(?:to_v|value)\.", ".v."),
    (r"\.(?:to_out\.0|proj_attn)\.", ".out."),
)
_MATRICES = re.compile(r"\.attention\.(\d+\.)?(q|k|v|out)\.weight$")
_SUBFOLDERS = ("vqvae", "movq", "vae")
_FIXED: dict[str, tuple[Any, ...]] = {
    "act_fn": ("silu", "swish"),
    "norm_type": ("group", "spatial"),
    "in_channels": (3,),
    "out_channels": (3,),
}
_LARGEST_GROUPS = 1024


def read(path: Path, base: Path | None) -> ImportedTokenizer:
    """Read a folder of `VQModel.save_pretrained`.

    Args:
        path: the folder with `config.json` and `diffusion_pytorch_model.safetensors` (or `.bin`), or that of a whole
            pipeline, whose `vqvae`, `movq` or `vae` is taken.
        base: folder or file of the configuration, where `path` has none.

    Raises:
        CheckpointError: incomplete, unsafe, another kind of model, or configuration and weights contradict each other.
    """
    if not (path / "config.json").is_file() and not base:
        path = next((path / sub for sub in _SUBFOLDERS if (path / sub / "config.json").is_file()), path)
    config = path if base is None else base
    config = config / "config.json" if config.is_dir() else config
    claims = read_json(config)
    if claims.get("_class_name", "VQModel") != "VQModel":
        raise CheckpointError(f"{config} is the configuration of a {claims['_class_name']!r}, not of a VQModel.")
    for key, known in _FIXED.items():
        if claims.get(key, known[0]) not in known:
            raise CheckpointError(f"{config}: {key!r} is {str(claims[key])[:60]!r}; only {known} can be read.")
    groups = claims.get("norm_num_groups", 32)
    if type(groups) is not int or not 1 <= groups <= _LARGEST_GROUPS:
        raise CheckpointError(f"{config}: 'norm_num_groups' must be a whole number from 1, not {str(groups)[:60]!r}.")
    state, warnings = read_weights(path, DIFFUSERS)
    tensors = translate(state, _RULES, path)
    for name, tensor in tensors.network.items():
        if _MATRICES.search(name) and tensor.ndim == 2:  # linear layers are 1 x 1 convolutions
            tensors.network[name] = tensor[:, :, None, None]
    table = tensors.take("quantize.embedding.weight")
    spatial = claims.get("norm_type") == "spatial"
    _check_types(claims, tensors.network, config)
    return assemble(
        tensors,
        table,
        claims={key: value for key, value in claims.items() if key not in _FIXED},
        norm_groups=groups,
        spatial_norm=spatial,
        warnings=warnings,
    )


def _check_types(claims: dict[str, Any], network: dict[str, Tensor], config: Path) -> None:
    """Raise `CheckpointError` where the kinds of blocks and the levels with attention in the weights differ."""
    for half, key in (("encoder", "down_block_types"), ("decoder", "up_block_types")):
        types = claims.get(key)
        if types is None:
            continue
        places = {
            int(match[1]) for name in network if (match := re.match(rf"{half}\.levels\.(\d{{1,4}})\.attention\.", name))
        }
        levels = {int(match[1]) for name in network if (match := re.match(rf"{half}\.levels\.(\d{{1,4}})\.", name))}
        known = {f"{'Down' if half == 'encoder' else 'Up'}{half.capitalize()}Block2D"}
        known |= {f"Attn{kind}" for kind in known}
        if not isinstance(types, list) or not set(map(str, types)) <= known or len(types) != len(levels):
            raise CheckpointError(
                f"{config}: {key!r} is {str(types)[:120]}; the weights have {len(levels)} levels, of {sorted(known)}."
            )
        if (claimed := {i for i, kind in enumerate(types) if str(kind).startswith("Attn")}) != places:
            raise CheckpointError(
                f"{config}: {key!r} has attention at levels {sorted(claimed)}, the weights at {sorted(places)}."
            )
