"""How fast steered generation is: `python -m tests.benchmarks.bench_steer [--quick]` prints a table and JSON.

Tokens per second of a live model with edits in two MLP codebooks, beside the same model and prompt without edits. The
two take turns, and each row is the median over all rounds, so that other work on the machine slows both alike.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable, Iterable
from typing import Any

from backend.types import Edit, Sampling

Row = dict[str, Any]
MODEL = "tokfsm-attn-mlp-k1"
EDITS = {
    "forced": (Edit("L0.mlp", 5, "force", where="generated"), Edit("L1.mlp", 7, "force", where="generated")),
    "banned": (Edit("L0.mlp", 5, "ban"), Edit("L1.mlp", 7, "ban")),
    "blended": (Edit("L0.mlp", 5, "blend", 0.5), Edit("L1.mlp", 7, "blend", 0.5)),
}


def bench_generation(samples: int, *, rounds: int = 9, tokens: int = 100) -> list[Row]:
    """Generate `samples` sequences at a time, unsteered and with each kind of edit, in turns."""
    import torch

    from backend.catalog import DEFAULT_DATA_DIR, find
    from backend.families import open_live

    torch.set_num_threads(1)
    live = open_live(find(MODEL, DEFAULT_DATA_DIR), DEFAULT_DATA_DIR)
    kinds: dict[str, tuple[Edit, ...]] = {"": ()} | EDITS
    speeds: dict[str, list[float]] = {kind: [] for kind in kinds}
    for turn in range(rounds + 1):
        for kind, edits in kinds.items():
            started = time.perf_counter()
            live.generate("17 42 03", Sampling(samples, tokens, seed=turn), edits=edits)
            if turn:  # the first one warms up
                speeds[kind].append(samples * tokens / (time.perf_counter() - started))
    plain = statistics.median(speeds[""])
    at_once = f"{samples} at a time" if samples > 1 else "one at a time"
    return [
        {
            "name": f"generation, {kind} in 2 MLP codebooks, {at_once}",
            "value": round(statistics.median(speeds[kind]), 1),
            "unit": "tokens/s",
            "ratio": round(statistics.median(speeds[kind]) / plain, 3),
            "reference": f"unsteered {plain:.1f} tokens/s",
            "goal": ">= 0.8 x",
        }
        for kind in EDITS
    ]


BENCHMARKS: dict[str, Callable[[bool], list[Row]]] = {
    "generate-one": lambda quick: bench_generation(1, rounds=3 if quick else 9),
    "generate-many": lambda quick: bench_generation(32, rounds=3 if quick else 9),
}


def run(names: Iterable[str] = (), *, quick: bool = False) -> list[Row]:
    """Run the named benchmarks, all by default."""
    return [row for name in list(names) or BENCHMARKS for row in BENCHMARKS[name](quick)]


def main() -> None:
    """Print a table, then JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(BENCHMARKS)}; all by default")
    parser.add_argument("--quick", action="store_true", help="a third of the rounds")
    options = parser.parse_args()
    rows = run(options.names, quick=options.quick)
    for row in rows:
        print(
            f"{row['value']:>10.1f} {row['unit']} {row['ratio']:<6} {row['goal']:<9} {row['name']}  {row['reference']}"
        )
    print(json.dumps({"benchmarks": rows}, indent=1))


if __name__ == "__main__":
    main()
