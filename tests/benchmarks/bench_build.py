"""How fast a store is built: `python -m tests.benchmarks.bench_build [--quick]` prints a table and JSON.

Each benchmark runs in a process of its own (its peak memory is measured) and returns dictionaries with `name`, `value`,
`unit`, `ratio`, `reference` and `goal`.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from backend.build.precompute import build
from backend.catalog import write_spec
from backend.types import CodebookInfo, CodeGrid, Edit, Encoded, Family, Item, ModelSpec

Row = dict[str, Any]
DEMO = "tokfsm-attn-mlp-k1"
WORDS = np.array([f" w{n}" for n in range(5000)])


class DrawnFamily:
    """No network: codes drawn with a Zipf-like usage at next to no cost, so that only the store is measured."""

    def __init__(self, spec: ModelSpec, codebooks: int, num_codes: int, dim: int = 64, length: int = 256) -> None:
        """Prepare the codebooks and one long run of draws that all items share in shifted order."""
        self.spec, self.length = spec, length
        self.infos = [CodebookInfo(f"L{n}.mlp", num_codes, dim, 1, n, None, "mlp") for n in range(codebooks)]
        generator = np.random.default_rng(0)
        ranks = np.exp(generator.random(1 << 20) * np.log(num_codes + 1)) - 1  # P(rank) ~ 1 / rank
        self.draws = ranks.astype(np.int32).clip(0, num_codes - 1)
        self.scores = generator.random(1 << 20, np.float32)
        self.capabilities = frozenset({"encode"})

    def codebooks(self) -> list[CodebookInfo]:
        """As asked for."""
        return self.infos

    def table(self, site: str) -> np.ndarray:
        """Random rows."""
        info = next(i for i in self.infos if i.site == site)
        return np.random.default_rng(info.layer).normal(size=(info.num_codes, info.dim)).astype(np.float32)

    def items(self, start: int, stop: int, seed: int) -> list[Item]:
        """Random words."""
        made = []
        for index in range(start, stop):
            ids = np.random.default_rng([seed, index]).integers(0, len(WORDS), self.length)
            words = WORDS[ids].tolist()
            ends = np.cumsum([len(w) for w in words])
            spans = np.stack([np.concatenate([[0], ends[:-1]]), ends], axis=1)
            kinds = {"kind": [str(i % 7) for i in ids.tolist()]}
            made.append(Item(index, (self.length,), ids, "".join(words), spans, kinds))
        return made

    def encode(
        self, items: Sequence[Item], edits: Iterable[Edit] = (), *, logits: bool = False, neurons: bool = False
    ) -> Encoded:
        """Slices of the draws, one an item and codebook."""
        place = np.concatenate([np.arange(i.positions) + i.index * 7919 for i in items])
        grids = {}
        for number, info in enumerate(self.infos):
            at = (place + number * 40009) % len(self.draws)
            codes, scores = self.draws[at][:, None], self.scores[at][:, None]
            grids[info.site] = CodeGrid(info.site, codes, scores, (codes[:, 0] + 1) % info.num_codes, scores[:, 0] / 2)
        return Encoded(grids)


class Stopwatch:
    """A progress callback that adds up the seconds, and the processor's seconds, of each stage; `stage` runs now."""

    def __init__(self) -> None:
        """Start."""
        self.seconds: dict[str, float] = {}
        self.cpu: dict[str, float] = {}
        self.stage, self._since, self._cpu = "start", time.monotonic(), time.process_time()

    def __call__(self, stage: str, done: int, total: int) -> None:
        """Give the time since the last call to the stage that was running."""
        now, cpu = time.monotonic(), time.process_time()
        self.cpu[self.stage] = self.cpu.get(self.stage, 0.0) + cpu - self._cpu
        self.seconds[self.stage] = self.seconds.get(self.stage, 0.0) + now - self._since
        self.stage, self._since, self._cpu = stage, now, cpu


def peak_memory() -> float:
    """Most memory this process has held, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def bench_store(positions: int = 1_000_000, codebooks: int = 24, num_codes: int = 10_000) -> list[Row]:
    """Write, sort and check a store of `positions x codebooks` activations made of nothing."""
    import duckdb
    import pyarrow  # noqa: F401  what is imported is not what a build holds

    assert duckdb
    length = 256
    with tempfile.TemporaryDirectory(prefix="bench-build-") as folder:
        spec = ModelSpec("drawn", "drawn", "text", "Drawn", {"name": "drawn"}, "checkpoints/drawn")
        data_dir = Path(folder)
        write_spec(spec, data_dir)
        (data_dir / spec.checkpoint).mkdir(parents=True)
        watch, before = Stopwatch(), peak_memory()

        def open_family(spec: ModelSpec, _: Path) -> Family:
            return DrawnFamily(spec, codebooks, num_codes, length=length)  # type: ignore[return-value]

        report = build(
            "drawn", data_dir, items=positions // length, progress=watch, open_family=open_family, projection="pca"
        )
        size = report.store.stat().st_size / 2**20
    seconds = watch.seconds
    stored = sum(seconds.get(stage, 0.0) for stage in ("tables", "sort", "check", "publish"))
    analysed = sum(seconds.get(stage, 0.0) for stage in ("codes", "together", "neurons"))
    millions = f"{report.activations / 1e6:.1f} M activations"
    stages = ", ".join(f"{stage} {value:.1f}" for stage, value in seconds.items() if value >= 0.05)
    return [
        _row(f"write, sort, check {millions}", stored, "s", goal="<= 60", limit=60, reference=f"stages: {stages}"),
        _row(f"usage, maps, neighbours, together of {millions}", analysed, "s"),
        _row(f"shards of {millions}", seconds.get("encode", 0.0), "s", reference="drawing the codes included"),
        _row(f"peak memory, {millions}", peak_memory(), "MB", reference=f"{before:.0f} MB before the build"),
        _row(f"size of the store, {millions}", size, "MB"),
    ]


def bench_encode(items: int = 1000) -> list[Row]:
    """Build the headline demo model from its shipped checkpoint.

    The reference is the same model's forward passes alone, codebooks active and nothing recorded: every batch of the
    build is passed through it once more, just before it is encoded, so that other work on the machine meets both alike.
    Both are seconds of the processor; the build's are those of all threads together (those that write the shards too).
    Making the items is the data set's work and has a row of its own, as has a whole build, which draws UMAPs beside the
    encoding.
    """
    import torch

    from backend.catalog import DEFAULT_DATA_DIR, find
    from backend.families import open_family

    torch.set_num_threads(1)
    family = open_family(find(DEMO, DEFAULT_DATA_DIR), DEFAULT_DATA_DIR)
    body, items_of, encode = family.model.model.base_model, family.items, family.encode  # type: ignore[attr-defined]
    spent = {"items": 0.0, "bare": 0.0}

    def measured_items(start: int, stop: int, seed: int) -> Sequence[Item]:
        begun = time.thread_time()
        made = items_of(start, stop, seed)
        if encoding():
            spent["items"] += time.thread_time() - begun
        return made

    def measured_encode(items: Sequence[Item], *args: Any, **options: Any) -> Encoded:
        begun = time.thread_time()
        with torch.no_grad():
            body(torch.from_numpy(np.stack([item.payload for item in items])), use_cache=False)
        if encoding():
            spent["bare"] += time.thread_time() - begun
        return encode(items, *args, **options)

    def encoding() -> bool:
        return watch.stage == "encode"

    watch, whole = Stopwatch(), Stopwatch()
    with tempfile.TemporaryDirectory(prefix="bench-build-") as folder:
        report = build(DEMO, Path(folder), items=items, progress=whole, open_family=lambda *_: family)
    family.items = measured_items  # type: ignore[method-assign]
    family.encode = measured_encode  # type: ignore[method-assign]
    with tempfile.TemporaryDirectory(prefix="bench-build-") as folder:
        build(DEMO, Path(folder), items=items, projection="pca", progress=watch, open_family=lambda *_: family)
    stages = ", ".join(f"{stage} {value:.1f}" for stage, value in whole.seconds.items() if value >= 0.05)
    return [
        _row(
            f"{DEMO}: encode {report.positions} positions into shards",
            watch.cpu["encode"] - spent["items"] - spent["bare"],
            "s",
            goal="<= 1.3 x",
            limit=spent["bare"],
            reference=f"bare {spent['bare']:.2f} s",
        ),
        _row(f"make {items} items", spent["items"], "s"),
        _row(f"whole build of {items} items, UMAP included", report.seconds, "s", reference=stages),
    ]


def _row(name: str, value: float, unit: str, *, reference: str = "", goal: str = "", limit: float = 0) -> Row:
    ratio = round(value / limit, 3) if limit else None
    return {"name": name, "value": round(value, 3), "unit": unit, "ratio": ratio, "reference": reference, "goal": goal}


BENCHMARKS: dict[str, Callable[[bool], list[Row]]] = {
    "store": lambda quick: bench_store(100_000 if quick else 1_000_000),
    "encode": lambda quick: bench_encode(250 if quick else 1000),
    "store-tenth": lambda quick: bench_store(10_000 if quick else 100_000),
}


def run(names: Iterable[str] = (), *, quick: bool = False) -> list[Row]:
    """Run the named benchmarks (all by default), each in a fresh process."""
    rows: list[Row] = []
    for name in list(names) or BENCHMARKS:
        command = [sys.executable, "-m", "tests.benchmarks.bench_build", "--inside", name, *(["--quick"] * quick)]
        done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
        rows += json.loads(done.stdout.splitlines()[-1])
    return rows


def main() -> None:
    """Print a table, then JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(BENCHMARKS)}; all by default")
    parser.add_argument("--quick", action="store_true", help="a fraction of the size")
    parser.add_argument("--inside", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.inside:
        print(json.dumps(BENCHMARKS[options.inside](options.quick)))
        return
    rows = run(options.names, quick=options.quick)
    for row in rows:
        numbers = f"{row['value']:>12.3f} {row['unit']:<4} {row['ratio'] or '':<6} {row['goal']:<8}"
        print(f"{numbers} {row['name']}  {row['reference']}")
    print(json.dumps({"benchmarks": rows}, indent=1))


if __name__ == "__main__":
    main()
