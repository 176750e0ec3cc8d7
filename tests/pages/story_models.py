"""A tiny trained model of stories with its store, for the pages that ask which codes stand for which concepts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from backend.build.precompute import build
from backend.catalog.cards import Card
from backend.data.datasets import open_corpus
from backend.data.texts.bpe import TOKENIZER, TextTokenizer, train_tokenizer
from backend.data.texts.corpus import TextItems
from backend.families.transformer.checkpoint import save_checkpoint
from backend.families.transformer.training.batches import TextBatches
from backend.families.transformer.training.recipe import Recipe
from backend.families.transformer.training.runs import train_base, train_codebooks
from backend.families.transformer.training.shapes import Shape
from backend.nn.insertion.placement import Placement
from backend.train.runs import Run

STORIES = "tale"
ITEMS = 150
SETTINGS: dict[str, Any] = {"name": "stories", "length": 96}


def make_stories(data_dir: Path) -> Path:
    """`tale`: codebooks on the attention (k = 2) and the MLP (k = 4) of one layer, built over 150 stories."""
    folder, base_folder = data_dir / "checkpoints" / STORIES, data_dir / "checkpoints" / f"{STORIES}-base"
    corpus = open_corpus(SETTINGS)
    tokenizer = train_tokenizer((corpus.document(i, 0).text for i in range(200)), 1200)
    items = TextItems(corpus, TextTokenizer(tokenizer), SETTINGS["length"])
    items.prepare(tokens=30_000)
    batches, run = TextBatches(items, 64), Run(device="cpu")
    config = Shape(layers=1, dim=32, heads=2, mlp=64).config(items.vocabulary, 96, items.bos)
    base = train_base(config, batches, Recipe(steps=80, batch=16, lr=5e-3, save_every=0), run)
    save_checkpoint(base, base_folder, Card())
    places = (Placement("attn", codes=64, k=2), Placement("mlp", codes=96, k=4))
    recipe = Recipe(steps=20, batch=16, lr=5e-4, commitment=0.25, save_every=0)
    save_checkpoint(train_codebooks(base_folder, batches, places, recipe, "kmeans", run), folder, Card())
    tokenizer.save(str(folder / TOKENIZER))
    (data_dir / "catalog").mkdir(exist_ok=True)
    settings = "\n".join(f"{k} = {v!r}".replace("'", '"') for k, v in SETTINGS.items())
    (data_dir / "catalog" / f"{STORIES}.toml").write_text(
        f'name = "{STORIES}"\nfamily = "transformer"\nkind = "text"\ntitle = "A small book of stories"\n'
        f'checkpoint = "checkpoints/{STORIES}"\n\n[dataset]\n{settings}\n'
    )
    build(STORIES, data_dir, items=ITEMS, projection="pca")
    return data_dir


@pytest.fixture(scope="session")
def story_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data directory with the model, made once for all tests."""
    return make_stories(tmp_path_factory.mktemp("stories"))
