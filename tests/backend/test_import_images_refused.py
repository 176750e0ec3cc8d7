"""Published image tokenizers that contradict themselves or cannot be trusted: what is refused, and how it is said."""

from __future__ import annotations

import json
import os
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from backend.errors import BadInput, CheckpointError
from tests.backend.published_tokenizers import (
    SMALL,
    llamagen_state,
    read,
    save_diffusers,
    taming_state,
    taming_yaml,
    write,
)


class Ran:
    """Writes a file when it is unpickled."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, (f"touch {self.marker}",)


# -- what contradicts itself -------------------------------------------------------------------------------------------


def set_in(*keys: str, to: Any) -> Callable[[dict[str, Any]], None]:
    def change(config: dict[str, Any]) -> None:
        for key in keys[:-1]:
            config = config[key]
        config[keys[-1]] = to

    return change


DD = ("model", "params", "ddconfig")


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (set_in("model", "params", "n_embed", to=1 << 40), "'n_embed' is 1099511627776, but the weights say 64"),
        (set_in("model", "params", "embed_dim", to=7), "'embed_dim'"),
        (set_in(*DD, "ch_mult", to=[1, 1]), "'ch_mult'"),
        (set_in(*DD, "ch_mult", to="1,2"), "'ch_mult'"),
        (set_in(*DD, "ch", to=64), "'ch'"),
        (set_in(*DD, "num_res_blocks", to=2), "'num_res_blocks'"),
        (set_in(*DD, "z_channels", to=None), ""),
        (set_in(*DD, "attn_resolutions", to=[32, 16]), "'attn_resolutions'"),
        (set_in(*DD, "attn_resolutions", to=[16, 4]), ""),
        (set_in(*DD, "double_z", to=True), "'double_z'"),
        (set_in("model", "target", to="taming.models.vqgan.GumbelVQ"), "Gumbel"),
        (set_in("model", to=[1]), ""),
    ],
)
def test_a_yaml_that_contradicts_the_weights_is_refused(change: Any, match: str, tmp_path: Path) -> None:
    path = write("taming", SMALL, tmp_path / "a")
    config = taming_yaml(SMALL)
    change(config)
    (path / "model.yaml").write_text(yaml.safe_dump(config))
    for base in (path / "model.yaml", None):  # given, or found beside the checkpoint
        if match:
            with pytest.raises(CheckpointError, match=match):
                read("taming", path, base)
        else:
            assert read("taming", path, base).settings == SMALL


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"_class_name": "AutoencoderKL"}, "AutoencoderKL"),
        ({"norm_num_groups": 48}, "48 groups"),
        ({"norm_num_groups": "32"}, "norm_num_groups"),
        ({"norm_type": "layer"}, "norm_type"),
        ({"norm_type": "spatial"}, "Missing"),
        ({"act_fn": "gelu"}, "act_fn"),
        ({"vq_embed_dim": 12}, "vq_embed_dim"),
        ({"block_out_channels": [32, 32]}, "block_out_channels"),
        ({"down_block_types": ["DownEncoderBlock2D"] * 2}, "down_block_types"),
        ({"up_block_types": ["UpDecoderBlock2D"]}, "up_block_types"),
        ({"mid_block_add_attention": False}, "mid_block_add_attention"),
        ({"num_vq_embeddings": 1 << 31}, "num_vq_embeddings"),
    ],
)
def test_a_diffusers_configuration_that_contradicts_the_weights_is_refused(
    change: dict[str, Any], match: str, tmp_path: Path
) -> None:
    config = save_diffusers(tmp_path, SMALL)
    assert read("diffusers", tmp_path).settings == SMALL
    (tmp_path / "config.json").write_text(json.dumps(config | change))
    with pytest.raises(CheckpointError, match=match):
        read("diffusers", tmp_path)


def test_the_normalisation_of_llamagen_and_fvq_is_not_mixed_up(tmp_path: Path) -> None:
    path = write("llamagen", SMALL, tmp_path)
    base = tmp_path / "config.json"
    for value, right, wrong in ((True, "llamagen", "fvq"), (False, "fvq", "llamagen")):
        base.write_text(json.dumps({"codebook_size": 64, "codebook_l2_norm": value}))
        assert read(right, path, base).normalized is value
        with pytest.raises(CheckpointError, match=f"format {right}"):
            read(wrong, tmp_path)
    for value, wrong in (("true", "fvq"), ("false", "llamagen"), (0, "llamagen"), (1, "fvq")):
        base.write_text(json.dumps({"codebook_l2_norm": value}))
        with pytest.raises(CheckpointError, match="codebook_l2_norm"):
            read(wrong, path, base)
    torch.save({"model": llamagen_state(replace(SMALL, code_dim=256))}, tmp_path / "wide.pt")
    assert any("format fvq" in warning for warning in read("llamagen", tmp_path / "wide.pt").warnings)


# -- what cannot be trusted --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"encoder.mid.0.conv1.weight": None}, "Missing: encoder.mid.0.conv1.weight"),
        (
            {"encoder.conv_blocks.1.res.0.nin_shortcut.bias": None},
            "Missing: encoder.conv_blocks.1.res.0.nin_shortcut.bias",
        ),
        ({"decoder.conv_blocks.0.upsample.conv.weight": None}, "upsample.conv.weight"),
        ({"decoder.conv_in.weight": None}, "decoder.conv_in.weight"),
        ({"quant_conv.weight": None}, "quant_conv.weight"),
        ({"quantize.embedding.weight": None}, "quantize.embedding.weight"),
        ({"quantize.embedding.weight": torch.ones(64, 5)}, "codes have 6 values"),
        ({"quantize.embedding.weight": torch.ones(6)}, "codebook has the shape"),
        ({"quantize.embedding.weight": torch.tensor(1.0)}, "codebook has the shape"),
        ({"quantize.embedding.weight": torch.ones(64, 6).to_sparse()}, "sparse"),
        ({"quantize.embedding.weight": torch.ones(64, 6, device="meta")}, "no values"),
        ({"quantize.embedding.weight": torch.full((64, 6), 1e300, dtype=torch.float64)}, "not finite"),
        ({"encoder.conv_in.weight": torch.ones(0, 3, 3, 3)}, "does not make a network"),
        ({"quantize.embedding.weight": torch.ones(64, 6, dtype=torch.int64)}, "int64"),
        ({"quantize.embedding.weight": torch.ones(1, 6).expand(1 << 40, 6)}, "more values than the file holds"),
        ({"quantize.embedding.weight": torch.full((64, 6), torch.nan)}, "not finite"),
        ({"encoder.conv_out.weight": torch.ones(16, 64, 5, 5)}, "encoder.conv_out.weight .16, 64, 5, 5."),
        ({"encoder.conv_in.weight": torch.ones(32, 4, 3, 3)}, "4 channels"),
        ({"encoder.conv_blocks.9999.res.0.conv2.weight": torch.ones(1, 1, 1, 1)}, "parts 0, 1, ..."),
        ({"encoder.extra.weight": torch.ones(3)}, "Unknown: encoder.extra.weight"),
        (
            {"encoder.conv_blocks.0.downsample.conv.weight": torch.ones(32, 32, 3, 3).expand(9, 32, 32, 3, 3)},
            "Wrong shape",
        ),
        ({"encoder.mid.0.norm1.weight": "text"}, "not a tensor"),
    ],
)
def test_weights_that_are_missing_unknown_or_wrong_are_named(change: Any, match: str, tmp_path: Path) -> None:
    state = {name: tensor for name, tensor in (llamagen_state(SMALL) | change).items() if tensor is not None}
    torch.save({"model": state}, tmp_path / "a.pt")
    with pytest.raises(CheckpointError, match=match):
        read("llamagen", tmp_path)


def test_a_table_of_eight_bit_numbers_becomes_float32(tmp_path: Path) -> None:
    state = llamagen_state(SMALL)
    state["quantize.embedding.weight"] = state["quantize.embedding.weight"].to(torch.float8_e4m3fn)
    torch.save({"model": state}, tmp_path / "a.pt")
    assert torch.equal(read("llamagen", tmp_path).table, state["quantize.embedding.weight"].float())


@pytest.mark.parametrize("text", ["[" * 200_000, '{"layers_per_block": 1' + "0" * 5000 + "}"])
def test_a_json_that_no_program_wrote_is_refused(text: str, tmp_path: Path) -> None:
    save_diffusers(tmp_path, SMALL)
    (tmp_path / "config.json").write_text(text)
    with pytest.raises(CheckpointError, match="cannot be read as JSON"):
        read("diffusers", tmp_path)


def test_a_pipe_is_no_checkpoint(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.pt")
    with pytest.raises(BadInput, match="neither a file nor a folder"):
        read("llamagen", tmp_path / "a.pt")


def bridge(width: int = 16, patch: int = 2, dim: int = 6) -> dict[str, torch.Tensor]:
    torch.manual_seed(0)
    affine = {
        "blocks.0.attn.qkv": (3 * width, width),
        "blocks.0.attn.proj": (width, width),
        "blocks.0.mlp.fc1": (2 * width, width),
        "blocks.0.mlp.fc2": (width, 2 * width),
        "final_layer.linear": (patch * patch * dim, width),
    }
    found = {f"{name}.weight": torch.randn(shape) for name, shape in affine.items()}
    found |= {f"{name}.bias": torch.randn(shape[0]) for name, shape in affine.items()}
    found |= {
        "x_embedder.proj.weight": torch.randn(width, dim, patch, patch),
        "x_embedder.proj.bias": torch.zeros(width),
    }
    return {f"quantize.qbridge.{name}": tensor for name, tensor in found.items()}


@pytest.mark.parametrize(
    ("codes", "change", "match"),
    [
        (64, {}, ""),
        (60, {}, "cannot be laid out in a square"),
        (64, {"blocks.0.mlp.fc1.bias": None}, "no 'blocks.0.mlp.fc1.bias'"),
        (64, {"blocks.0.attn.qkv.weight": torch.ones(40, 16)}, "cannot be computed"),
        (64, {"blocks.0.adaLN_modulation.1.weight": torch.ones(96, 16)}, "no known part"),
        (64, {"final_layer.linear.bias": torch.full((24,), torch.inf)}, "not finite"),
        (64, {"final_layer.linear.bias": torch.tensor(2.0)}, "final_layer.linear.bias"),
        (64, {"pos_embed": torch.tensor(2.0)}, "pos_embed"),
        (64, {"x_embedder.proj.weight": torch.tensor(2.0)}, "cannot be computed"),
    ],
)
def test_a_bridge_that_does_not_fit_is_refused(codes: int, change: Any, match: str, tmp_path: Path) -> None:
    state = llamagen_state(SMALL, codes) | bridge() | {f"quantize.qbridge.{n}": t for n, t in change.items()}
    torch.save({"model": {n: t for n, t in state.items() if t is not None}}, tmp_path / "a.pt")
    if match:
        with pytest.raises(CheckpointError, match=match):
            read("fvq", tmp_path)
        return
    assert read("fvq", tmp_path).table.shape == (64, 6)
    with pytest.raises(CheckpointError, match="format fvq"):
        read("llamagen", tmp_path)


def test_a_projector_that_does_not_fit_is_refused(tmp_path: Path) -> None:
    state = taming_state(SMALL)
    del state["quantize.embedding.weight"]
    good = {"tok_embeddings.weight": torch.randn(50, 20), "codebook_projection.weight": torch.randn(6, 20)}
    bias = {"codebook_projection.bias": torch.randn(6)}
    cases: list[tuple[dict[str, Any], str]] = [
        (good | bias, ""),
        (good, "projector has"),
        (good | bias | {"codebook_projection.weight": torch.randn(6, 21)}, "does not fit codes of 20"),
        (good | bias | {"tok_embeddings.weight": torch.randn(50)}, "projector has"),
        ({"tok_embeddings.weight": torch.randn(50, 6)}, ""),
        ({"tok_embeddings.weight": torch.randn(50, 20)}, "codes have 6 values"),
    ]
    for codebook, match in cases:
        torch.save({"state_dict": state | codebook}, tmp_path / "a.pth")
        if match:
            with pytest.raises(CheckpointError, match=match):
                read("vqgan-lc", tmp_path)
        else:
            assert read("vqgan-lc", tmp_path).table.shape == (50, 6)


@pytest.mark.parametrize("format", ["llamagen", "fvq", "vqgan-lc", "taming"])
def test_a_pickle_with_code_is_refused_and_nothing_runs(format: str, tmp_path: Path) -> None:
    marker = tmp_path / "ran"
    path = tmp_path / "a.pt"
    for content in ({"model": llamagen_state(SMALL), "x": Ran(marker)}, {"model": {"encoder.x": Ran(marker)}}):
        torch.save(content, path)
        with pytest.raises(CheckpointError, match="nothing was run"):
            read(format, path)
    assert not marker.exists()


@pytest.mark.parametrize("kept", [0.0, 0.3, 0.999])
@pytest.mark.parametrize("format", ["llamagen", "taming", "diffusers"])
def test_a_file_that_was_cut_off_is_refused(format: str, kept: float, tmp_path: Path) -> None:
    write(format, SMALL, tmp_path)
    file = max(tmp_path.iterdir(), key=lambda f: f.stat().st_size)
    file.write_bytes(file.read_bytes()[: int(kept * file.stat().st_size)])
    with pytest.raises(CheckpointError):
        read(format, tmp_path)


def test_a_compressed_archive_is_refused_before_it_is_unpacked(tmp_path: Path) -> None:
    torch.save({"model": llamagen_state(SMALL)}, tmp_path / "plain.zip")
    with (
        zipfile.ZipFile(tmp_path / "plain.zip") as old,
        zipfile.ZipFile(tmp_path / "a.pt", "w", zipfile.ZIP_DEFLATED) as new,
    ):
        for name in old.namelist():
            new.writestr(name, old.read(name))
    with pytest.raises(CheckpointError, match="compressed"):
        read("llamagen", tmp_path)


@pytest.mark.parametrize(
    "text", ["!!python/object/apply:os.system ['touch ran']", "a: [", "- 1", "[" * 3_000, "\0", "x" * (1 << 21)]
)
def test_a_yaml_that_is_no_table_or_runs_something_is_refused(text: str, tmp_path: Path) -> None:
    path = write("taming", SMALL, tmp_path / "a")
    base = tmp_path / "model.yaml"
    base.write_text(text)
    with pytest.raises(CheckpointError, match="model.yaml"):
        read("taming", path, base)


def test_a_folder_must_hold_one_checkpoint(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="none"):
        read("llamagen", tmp_path)
    for name in ("a.pt", "b.ckpt"):
        torch.save({"model": llamagen_state(SMALL)}, tmp_path / name)
    with pytest.raises(BadInput, match="a.pt, b.ckpt"):
        read("llamagen", tmp_path)
