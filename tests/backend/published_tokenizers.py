"""Image tokenizers of any size in the published formats, with random weights: files for tests and benchmarks."""

from __future__ import annotations

import argparse
import json
import re
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor

from backend.families.image_tokenizer.formats.adding import READERS
from backend.families.image_tokenizer.formats.image_weights import ImportedTokenizer
from backend.nn.vqgan import Half, VqganDecoder, VqganEncoder, VqganSettings

Rules = tuple[tuple[str, str], ...]
SMALL = VqganSettings(Half(32, (32, 64), 1, (1,)), Half(64, (64, 32), 2, (0,)), latent_channels=16, code_dim=6)
DEEP = VqganSettings(
    Half(64, (32, 64, 96), 2, (1,)), Half(96, (96, 64, 32), 3, (1,), False), latent_channels=12, code_dim=5
)
VQ16 = VqganSettings(
    Half(128, (128, 128, 256, 256, 512), 2, (4,)),
    Half(512, (512, 256, 256, 128, 128), 3, (0,)),
    latent_channels=256,
    code_dim=8,
)
_BOTH: Rules = (
    (r"\.shortcut\.", ".nin_shortcut."),
    (r"(attention(\.\d+)?|attn(\.\d+)?|mid\.1|mid\.attn_1)\.out\.", r"\1.proj_out."),
    (r"^encoder\.to_codes\.", "quant_conv."),
    (r"^decoder\.from_codes\.", "post_quant_conv."),
)
LLAMAGEN: Rules = (
    (r"levels\.(\d+)\.blocks", r"conv_blocks.\1.res"),
    (r"levels\.(\d+)\.attention", r"conv_blocks.\1.attn"),
    (r"encoder\.levels\.(\d+)\.resample", r"encoder.conv_blocks.\1.downsample.conv"),
    (r"decoder\.levels\.(\d+)\.resample", r"decoder.conv_blocks.\1.upsample.conv"),
    (r"mid\.first", "mid.0"),
    (r"mid\.attention", "mid.1"),
    (r"mid\.last", "mid.2"),
    *_BOTH,
)
TAMING: Rules = (
    (r"levels\.(\d+)\.blocks", r"levels.\1.block"),
    (r"levels\.(\d+)\.attention", r"levels.\1.attn"),
    (r"encoder\.levels\.(\d+)\.resample", r"encoder.levels.\1.downsample.conv"),
    (r"decoder\.levels\.(\d+)\.resample", r"decoder.levels.\1.upsample.conv"),
    (r"encoder\.levels", "encoder.down"),
    (r"decoder\.levels", "decoder.up"),
    (r"mid\.first", "mid.block_1"),
    (r"mid\.attention", "mid.attn_1"),
    (r"mid\.last", "mid.block_2"),
    *_BOTH,
)
DIFFUSERS: Rules = (
    (r"encoder\.levels\.(\d+)\.resample", r"encoder.levels.\1.downsamplers.0.conv"),
    (r"decoder\.levels\.(\d+)\.resample", r"decoder.levels.\1.upsamplers.0.conv"),
    (r"levels\.(\d+)\.blocks", r"levels.\1.resnets"),
    (r"(levels\.\d+|mid)\.attention\.((?:\d+\.)?)norm\.", r"\1.attentions.\2group_norm."),
    (r"(levels\.\d+)\.attention\.(\d+)\.", r"\1.attentions.\2."),
    (r"mid\.(attention|attentions)\.", "mid_block.attentions.0."),
    (r"mid\.first", "mid_block.resnets.0"),
    (r"mid\.last", "mid_block.resnets.1"),
    (r"(attentions\.\d+)\.([qkv])\.", r"\1.to_\2."),
    (r"(attentions\.\d+)\.out\.", r"\1.to_out.0."),
    (r"encoder\.levels", "encoder.down_blocks"),
    (r"decoder\.levels", "decoder.up_blocks"),
    (r"\.shortcut\.", ".conv_shortcut."),
    (r"\.norm_out\.", ".conv_norm_out."),
    (r"^encoder\.to_codes\.", "quant_conv."),
    (r"^decoder\.from_codes\.", "post_quant_conv."),
)


def random_weights(settings: VqganSettings, seed: int = 0) -> dict[str, Tensor]:
    """Weights under our names; normalisation is not the identity."""
    torch.manual_seed(seed)
    halves = {"encoder": VqganEncoder(settings), "decoder": VqganDecoder(settings)}
    weights = {f"{half}.{name}": t for half, net in halves.items() for name, t in net.state_dict().items()}
    return {n: t + 0.1 * torch.randn_like(t) if t.ndim == 1 else t for n, t in weights.items()}


def renamed(weights: dict[str, Tensor], rules: Rules) -> dict[str, Tensor]:
    """The weights under the names of a published format."""
    found = {}
    for name, tensor in weights.items():
        for pattern, replacement in rules:
            name = re.sub(pattern, replacement, name)
        found[name] = tensor
    return found


def llamagen_state(settings: VqganSettings, codes: int = 64, seed: int = 0) -> dict[str, Tensor]:
    """What the `model` of a LlamaGen file holds."""
    table = torch.randn(codes, settings.code_dim, generator=torch.Generator().manual_seed(seed))
    more = {"quantize.embedding.weight": table, "quantize.codebook_used": torch.zeros(65536)}
    return renamed(random_weights(settings, seed), LLAMAGEN) | more


def taming_state(settings: VqganSettings, codes: int = 64, seed: int = 0) -> dict[str, Tensor]:
    """What the `state_dict` of a taming file holds: level 0 of its decoder is the highest resolution."""
    last = len(settings.decoder.channels) - 1
    state = renamed(random_weights(settings, seed), TAMING)
    turned = {
        re.sub(r"^decoder\.up\.(\d+)", lambda m: f"decoder.up.{last - int(m[1])}", name): t for name, t in state.items()
    }
    table = torch.randn(codes, settings.code_dim, generator=torch.Generator().manual_seed(seed))
    return turned | {"quantize.embedding.weight": table, "loss.discriminator.main.0.weight": torch.ones(4, 3, 4, 4)}


def taming_yaml(settings: VqganSettings, codes: int = 64, resolution: int = 32) -> dict[str, Any]:
    """The `model.params` of the yaml of such a file."""
    encoder = settings.encoder
    ddconfig = {
        "double_z": False,
        "z_channels": settings.latent_channels,
        "resolution": resolution,
        "in_channels": 3,
        "out_ch": 3,
        "ch": encoder.stem,
        "ch_mult": [width / encoder.stem for width in encoder.channels],
        "num_res_blocks": encoder.blocks,
        "attn_resolutions": [resolution >> level for level in encoder.attention],
    }
    params = {"embed_dim": settings.code_dim, "n_embed": codes, "ddconfig": ddconfig}
    return {"model": {"target": "taming.models.vqgan.VQModel", "params": params}}


def save_diffusers(folder: Path, settings: VqganSettings, codes: int = 64, seed: int = 0) -> dict[str, Any]:
    """Write a folder as `VQModel.save_pretrained` does; returns its configuration."""
    state = {
        name: t[:, :, 0, 0] if re.search(r"\.to_(q|k|v|out\.0)\.weight$", name) else t
        for name, t in renamed(random_weights(settings, seed), DIFFUSERS).items()
    }
    table = torch.randn(codes, settings.code_dim, generator=torch.Generator().manual_seed(seed))
    kinds = {
        "down": [
            "Attn" * (i in settings.encoder.attention) + "DownEncoderBlock2D"
            for i in range(len(settings.encoder.channels))
        ],
        "up": [
            "Attn" * (i in settings.decoder.attention) + "UpDecoderBlock2D"
            for i in range(len(settings.decoder.channels))
        ],
    }
    config = {
        "_class_name": "VQModel",
        "act_fn": "silu",
        "block_out_channels": list(settings.encoder.channels),
        "down_block_types": kinds["down"],
        "up_block_types": kinds["up"],
        "in_channels": 3,
        "out_channels": 3,
        "latent_channels": settings.latent_channels,
        "layers_per_block": settings.encoder.blocks,
        "mid_block_add_attention": settings.encoder.mid_attention,
        "norm_num_groups": settings.norm_groups,
        "norm_type": "group",
        "num_vq_embeddings": codes,
        "vq_embed_dim": settings.code_dim,
    }
    folder.mkdir(parents=True, exist_ok=True)
    contiguous = {name: t.contiguous() for name, t in (state | {"quantize.embedding.weight": table}).items()}
    save_file(contiguous, folder / "diffusion_pytorch_model.safetensors")
    (folder / "config.json").write_text(json.dumps(config))
    return config


def write(format: str, settings: VqganSettings, folder: Path) -> Path:
    """A file or folder of a format with random weights, below `folder`; what to import."""
    folder.mkdir(exist_ok=True)
    if format == "diffusers":
        save_diffusers(folder, settings)
        return folder
    if format in ("llamagen", "fvq"):
        torch.save({"model": llamagen_state(settings), "args": argparse.Namespace(lr=1)}, folder / "model.pt")
        return folder / "model.pt"
    state = taming_state(settings)
    if format == "vqgan-lc":
        state["tok_embeddings.weight"] = state.pop("quantize.embedding.weight")
    torch.save({"state_dict": state}, folder / "last.ckpt")
    return folder


def read(format: str, path: Path, base: Path | None = None) -> ImportedTokenizer:
    """What the importer of a format makes of it."""
    found = READERS[format](path, base)
    assert isinstance(found, ImportedTokenizer)
    return found
