"""A tiny image tokenizer with random weights and its store, for the pages that show pictures."""

from __future__ import annotations

from pathlib import Path

import pytest

from backend.build.precompute import build
from backend.catalog.cards import Card
from backend.families.image_tokenizer.model import save_tokenizer
from tests.backend.tiny_tokenizer import tiny_tokenizer

IMAGES = "glimpse"
CODES = 64
ITEMS = 96
CURVE = [{"step": step, "utilization": share} for step, share in ((10, 0.2), (20, 0.5), (40, 0.8))]


def make_images(data_dir: Path, codes: tuple[int, ...] = (CODES,), items: int = ITEMS, name: str = IMAGES) -> Path:
    """A tokenizer of scenes of 32 pixels, 8 x 8 cells each, built; `codes`: of each residual level."""
    metric = {"value": 20.5, "low": 20.0, "high": 21.0, "n": 96, "seeds": 2, "definition": "a number for tests"}
    card = Card({"psnr": metric}, {"curve": CURVE})
    save_tokenizer(tiny_tokenizer(codes), data_dir / "checkpoints" / name, card)
    (data_dir / "catalog").mkdir(exist_ok=True)
    (data_dir / "catalog" / f"{name}.toml").write_text(
        f'name = "{name}"\nfamily = "image_tokenizer"\nkind = "image"\ntitle = "A tiny tokenizer of scenes"\n'
        f'checkpoint = "checkpoints/{name}"\n\n[dataset]\nname = "scenes"\nsize = 32\n'
    )
    build(name, data_dir, items=items, projection="pca")
    return data_dir


@pytest.fixture(scope="session")
def image_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data directory with the model, made once for all tests."""
    return make_images(tmp_path_factory.mktemp("images"))
