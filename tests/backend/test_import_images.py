"""Published image tokenizers, read: the same tokens and pixels as the original programs, at any size, whole imports."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from backend.catalog import find
from backend.errors import BadInput
from backend.families import open_family
from backend.families.image_tokenizer.formats.adding import tokenizer_of
from backend.jobs.importing import import_checkpoint
from backend.nn.vqgan import Half, VqganDecoder, VqganEncoder, VqganSettings
from tests.backend.commands import answer, refused
from tests.backend.published_tokenizers import DEEP, SMALL, VQ16, llamagen_state, random_weights, read, write
from tests.backend.wrapped_models import Reference, config, settings

GOLDEN = Path(__file__).resolve().parents[3] / "shared" / "golden"
CASES = [
    ("llamagen", "llamagen_vq", "vq_model.pt", "config.json"),
    ("llamagen", "llamagen_vq", "", ""),
    ("fvq", "fvq_vit", "fvq_last.pt", ""),
    ("fvq", "fvq_vit", "fvq2vqgan.pt", "config.json"),
    ("fvq", "fvq_dit", "fvq_last.pt", "config.json"),
    ("fvq", "fvq_dit", "fvq2vqgan.pt", ""),
    ("vqgan-lc", "vqgan_lc", "", "vq-tiny.yaml"),
    ("vqgan-lc", "vqgan_lc", "vqgan-lc-tiny-f4-dim8.pth", "args.json"),
    ("vqgan-lc", "vqgan_lc_mlp", "", ""),
    ("taming", "taming_vqgan", "last.ckpt", "model.yaml"),
    ("taming", "taming_vqgan_callbacks", "", ""),
    ("diffusers", "diffusers_vq", "vqvae", ""),
    ("diffusers", "diffusers_vq_nomidattn", "", ""),
    ("diffusers", "diffusers_movq_spatial", "vqvae", ""),
]


# -- parity with the original programs ---------------------------------------------------------------------------------


@torch.no_grad()
@pytest.mark.skipif(not GOLDEN.is_dir(), reason=f"there are no golden checkpoints in {GOLDEN}")
@pytest.mark.parametrize(("format", "folder", "file", "base"), CASES, ids=["-".join(filter(None, c)) for c in CASES])
def test_golden_tokens_are_identical_and_pixels_within_1e_4(format: str, folder: str, file: str, base: str) -> None:
    where = GOLDEN / folder
    arrays = {k: torch.from_numpy(v) for f in ("input.npz", "output.npz") for k, v in np.load(where / f).items()}
    model = tokenizer_of(read(format, where / file, where / base if base else None))
    latents = model.encoder(arrays["image"])
    torch.testing.assert_close(latents, arrays["latents" if format == "diffusers" else "pre_quant"], atol=1e-4, rtol=0)
    assert torch.equal(model.tokens(arrays["image"])[:, 0], arrays["indices"])
    for ids, pixels in (("indices", "decoded_from_indices"), ("edited_indices", "decoded_edited")):
        decoded = model.decode(model.lookup(arrays[ids][:, None]))
        torch.testing.assert_close(decoded, arrays[pixels], atol=1e-4, rtol=0)
    if "effective_codebook" in arrays:
        torch.testing.assert_close(model.table(), arrays["effective_codebook"], atol=1e-5, rtol=0)


# -- other sizes -------------------------------------------------------------------------------------------------------

ASYMMETRIC = replace(SMALL, encoder=Half(32, (64, 32, 96), 3, (0, 2), False), decoder=Half(32, (32, 64, 32), 1, (1,)))
ONE_LEVEL = VqganSettings(Half(32, (32,), 1, ()), Half(32, (32,), 2, ()), latent_channels=3, code_dim=2)


@torch.no_grad()
@pytest.mark.parametrize("settings", [SMALL, DEEP, ASYMMETRIC, ONE_LEVEL], ids=["small", "deep", "asymmetric", "one"])
@pytest.mark.parametrize("format", ["llamagen", "fvq", "vqgan-lc", "taming", "diffusers"])
def test_other_sizes_are_read_off_the_weights(format: str, settings: VqganSettings, tmp_path: Path) -> None:
    if format == "diffusers":  # this format has the same middle and the same widths in both halves
        widths = settings.encoder.channels
        settings = replace(
            settings,
            encoder=replace(settings.encoder, stem=widths[0], mid_attention=False),
            decoder=replace(settings.decoder, stem=widths[-1], channels=widths[::-1], mid_attention=False),
            norm_groups=16,
        )
    found = read(format, write(format, settings, tmp_path / "a"))
    assert found.settings == settings and found.normalized == (format == "llamagen")
    expected = random_weights(settings)
    assert found.weights.keys() == expected.keys()
    assert all(torch.equal(found.weights[name], tensor) for name, tensor in expected.items())
    model = tokenizer_of(found)
    cell = settings.downsampling
    assert model.tokens(torch.zeros(1, 3, 4 * cell, 2 * cell)).shape == (1, 1, 4, 2)
    assert VqganSettings.from_json(json.loads(json.dumps(settings.to_json()))) == settings


def test_the_moving_average_and_names_of_parallel_or_compiled_training_are_understood(tmp_path: Path) -> None:
    state, average = llamagen_state(SMALL), llamagen_state(SMALL, seed=1)
    wrapped = {f"module._orig_mod.{name}": tensor for name, tensor in average.items()}
    torch.save({"model": state, "ema": wrapped, "steps": 3}, tmp_path / "a.pt")
    assert torch.equal(read("llamagen", tmp_path).table, average["quantize.embedding.weight"])


def test_half_precision_becomes_float32(tmp_path: Path) -> None:
    torch.save({"model": {name: t.half() for name, t in llamagen_state(SMALL).items()}}, tmp_path / "a.pt")
    found = read("llamagen", tmp_path / "a.pt")
    assert {t.dtype for t in (found.table, *found.weights.values())} == {torch.float32}


# -- into a data directory ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("format", ["llamagen", "diffusers"])
def test_import_adds_a_model_that_encodes_and_decodes_as_the_file_does(
    format: str, tmp_path: Path, capsys: Any
) -> None:
    path, data = write(format, SMALL, tmp_path / "theirs"), tmp_path / "data"
    found = answer(capsys, "import", format, str(path), "--name", "mine", data=data)
    assert found["model"] == "mine" and found["codebooks"] == ["vq"] and "scenes of 64 pixels" in found["warnings"][-1]
    assert "--overwrite" in refused(capsys, 2, "import", format, str(path), "--name", "mine", data=data)
    family = open_family(find("mine", data), data)
    info = family.codebooks()[0]
    assert (info.num_codes, info.dim, family.grid(64, 64)) == (64, 6, (32, 32))
    items = family.items(0, 2, 0)
    codes = family.encode(items).grids["vq"].codes.reshape(2, 32, 32, 1)
    model = tokenizer_of(read(format, path))
    pixels = torch.from_numpy(np.stack([item.payload for item in items]))
    np.testing.assert_array_equal(codes[..., 0], model.tokens(pixels)[:, 0].numpy())
    with torch.no_grad():
        decoded = model.decode(model.lookup(torch.from_numpy(codes[None, ..., 0]).long().movedim(0, 1)))
    np.testing.assert_allclose(family.decode({"vq": codes}), decoded.numpy(), atol=1e-4)


def test_a_tokenizer_is_shown_the_person_s_own_pictures(tmp_path: Path) -> None:
    path, data, photos = write("fvq", SMALL, tmp_path / "theirs"), tmp_path / "data", tmp_path / "photos"
    photos.mkdir()
    with pytest.raises(BadInput, match="No image"):
        import_checkpoint("fvq", path, data, images=photos)
    assert not data.exists()
    Image.new("RGB", (300, 280), "red").save(photos / "red.png")
    (photos / "broken.jpg").write_bytes(b"no picture")
    report = import_checkpoint("fvq", path, data, images=photos)
    assert report.model == "theirs-model" and "broken.jpg" in report.warnings[-1]
    (item,) = open_family(find(report.model, data), data).items(0, 1, 0)
    assert item.payload.shape == (3, 256, 256)
    codebooks, base = Reference(config("gpt2"), settings("mlp")).save(tmp_path / "text")
    with pytest.raises(BadInput, match="--images"):
        import_checkpoint("codebook-features", codebooks, data, base=base, images=photos)
    with pytest.raises(BadInput, match="no folder"):
        import_checkpoint("diffusers", path, data, name="other")


# -- full size ---------------------------------------------------------------------------------------------------------


def test_the_settings_of_vq_16_make_its_published_number_of_parameters() -> None:
    """How long it takes to load and use is measured by `tests/benchmarks/bench_import.py`."""
    with torch.device("meta"):
        halves = VqganEncoder(VQ16), VqganDecoder(VQ16)
    assert sum(p.numel() for half in halves for p in half.parameters()) + 16384 * 8 == 71_883_403
