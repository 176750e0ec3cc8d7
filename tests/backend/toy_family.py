"""A family without a network: random tables, nearest codes of random vectors; and a process that builds and dies.

`python -m tests.backend.toy_family DATA_DIR STAGE DONE` builds the toy model and kills itself (SIGKILL) when the stage
has come that far.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from backend.build.precompute import Limits, build
from backend.catalog import write_spec
from backend.types import CodebookInfo, CodeGrid, Edit, Encoded, Item, ModelSpec

SPEC = ModelSpec("toy", "toy", "text", "A toy", {"name": "toy", "items": 60}, "checkpoints/toy")
LIMITS = Limits(batch_positions=64, shard_bytes=24_000, neuron_positions=200)
WORDS = ["the", "cat", "sat", "<b>", "na\u00efve", "\U0001f600", "nul\0", "", "(x)", "mat"]


class ToyFamily:
    """Tokens are words; a token's vector is its word's plus noise, and the codes nearest to it fire."""

    def __init__(self, spec: ModelSpec, infos: Sequence[CodebookInfo] = (), length: int = 16) -> None:
        """Draw the tables."""
        self.spec, self.length = spec, length
        self.infos = list(infos) or [
            CodebookInfo("L0.mlp", 40, 8, 1, 0, None, "mlp"),
            CodebookInfo("L1.attn.h0", 12, 4, 3, 1, 0, "attn", "euclidean"),
        ]
        generator = np.random.default_rng(7)
        self.tables = {i.site: generator.normal(size=(i.num_codes, i.dim)).astype(np.float32) for i in self.infos}
        self.words = generator.normal(size=(len(WORDS), max(i.dim for i in self.infos))).astype(np.float32)
        self.capabilities = frozenset({"encode", "neurons"})

    def codebooks(self) -> list[CodebookInfo]:
        """As given."""
        return self.infos

    def table(self, site: str) -> np.ndarray:
        """Random rows."""
        return self.tables[site]

    def items(self, start: int, stop: int, seed: int) -> list[Item]:
        """Random words with single spaces between them; every third item is shorter."""
        return [self._item(index, seed) for index in range(start, stop)]

    def _item(self, index: int, seed: int) -> Item:
        length = self.length - 5 * (index % 3 == 1)
        ids = np.random.default_rng([seed, index]).integers(0, len(WORDS), length)
        ends = np.cumsum([len(WORDS[i]) + 1 for i in ids]) - 1
        spans = np.stack([ends - [len(WORDS[i]) for i in ids], ends], axis=1)
        labels = {"word": [WORDS[i] for i in ids], "place": [str(p) if p % 2 else "" for p in range(length)]}
        text = " ".join(WORDS[i] for i in ids)
        return Item(index, (length,), ids, text, spans, labels, {"third": str(index % 3)})

    def encode(
        self, items: Sequence[Item], edits: Iterable[Edit] = (), *, logits: bool = False, neurons: bool = False
    ) -> Encoded:
        """Nearest codes by the negative distance. The last of several slots is empty at each fifth place."""
        noise = [np.random.default_rng([3, i.index]).normal(size=(i.positions, self.words.shape[1])) for i in items]
        hidden = np.concatenate([self.words[i.payload] for i in items]) + 0.4 * np.concatenate(noise).astype(np.float32)
        grids = {}
        for info in self.infos:
            vectors, table = hidden[:, : info.dim], self.tables[info.site]
            away = (vectors**2).sum(1, keepdims=True) - 2 * vectors @ table.T + (table**2).sum(1)
            order = np.argsort(away, axis=1, kind="stable")[:, : info.slots + 1]
            scores = -np.take_along_axis(away, order, axis=1)
            codes = order[:, : info.slots].astype(np.int32)
            if info.slots > 1:
                codes[np.concatenate([np.arange(i.positions) for i in items]) % 5 == 0, -1] = -1
            runner_up = order[:, -1].astype(np.int32)
            grids[info.site] = CodeGrid(info.site, codes, scores[:, :-1].copy(), runner_up, scores[:, -1].copy())
        return Encoded(grids, neurons={"L0.mlp": hidden[:, :5]} if neurons else {})


def open_toy(spec: ModelSpec, data_dir: Path) -> ToyFamily:
    """What `build` is given as `open_family`."""
    return ToyFamily(spec)


def prepare(data_dir: Path) -> Path:
    """A data directory with the toy's catalog entry, weights and card; returns it."""
    write_spec(SPEC, data_dir)
    folder = data_dir / "checkpoints" / "toy"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "model.safetensors").write_bytes(b"toy weights")
    metric = '{"value": 1.5, "low": 1.0, "high": 2.0, "n": 10, "seeds": 3, "definition": "a toy number"}'
    (folder / "card.json").write_text(f'{{"metrics": {{"lm_loss": {metric}}}}}')
    return data_dir


def main(data_dir: str, stage: str, done: str) -> None:
    """Build, and die as soon as `stage` has come to `done`."""

    def die(now: str, count: int, total: int) -> None:
        if now == stage and count >= int(done):
            os.kill(os.getpid(), signal.SIGKILL)

    build("toy", Path(data_dir), progress=die, limits=LIMITS, open_family=open_toy, projection="pca")


if __name__ == "__main__":
    main(*sys.argv[1:])
