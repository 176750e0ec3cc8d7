"""How long a full-size published image tokenizer takes: `python -m tests.benchmarks.bench_import` prints a table and JSON.

LlamaGen's VQ-16 (72 M parameters, 16,384 codes; random weights, in the published form) is read, and one picture of 256
pixels encoded and decoded, in a process of its own that imports nothing else, on two cores.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

Row = dict[str, Any]
SECONDS, GIGABYTES = 10.0, 4.0
_PROGRAM = """
import json, resource, sys, time
from pathlib import Path
import torch
from backend.families.image_tokenizer.formats.adding import READERS, tokenizer_of
marks, started = [time.perf_counter()], time.process_time()
with torch.no_grad():
    model = tokenizer_of(READERS["llamagen"](Path(sys.argv[1]), None))
    marks.append(time.perf_counter())
    ids = model.tokens(torch.rand(1, 3, 256, 256) * 2 - 1)
    marks.append(time.perf_counter())
    model.decode(model.lookup(ids))
    marks.append(time.perf_counter())
seconds = [after - before for before, after in zip(marks, marks[1:])]
print(json.dumps([*seconds, time.process_time() - started, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20]))
"""


def bench_full_size() -> list[Row]:
    """Load, encode, decode, all three by the clock and on the processor, and the most memory that was held."""
    import torch

    from tests.backend.published_tokenizers import VQ16, llamagen_state

    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "vq_ds16.pt"
        torch.save({"model": llamagen_state(VQ16, codes=16384)}, file)
        done = subprocess.run(
            [sys.executable, "-c", _PROGRAM, str(file)],
            env={**os.environ, "OMP_NUM_THREADS": "2"},
            capture_output=True,
            text=True,
            check=True,
        )
    *seconds, processor, memory = json.loads(done.stdout)
    steps = {"loaded": seconds[0], "256 px encoded": seconds[1], "256 px decoded": seconds[2]}
    rows = [_row(f"VQ-16 {name}", value, "s", SECONDS) for name, value in (steps | {"all three": sum(seconds)}).items()]
    return [
        *rows,
        _row(
            "VQ-16 all three, time on both cores", processor, "s", 2 * SECONDS
        ),  # other work on the machine is not in it
        _row("VQ-16 memory", memory, "GB", GIGABYTES),
    ]


def _row(name: str, value: float, unit: str, limit: float) -> Row:
    return {
        "name": name,
        "value": round(value, 2),
        "unit": unit,
        "ratio": round(value / limit, 3),
        "reference": f"limit for all: {limit:g} {unit}",
        "goal": "<= 1",
    }


BENCHMARKS: dict[str, Callable[[bool], list[Row]]] = {"import-full-size": lambda quick: bench_full_size()}


if __name__ == "__main__":
    found = bench_full_size()
    for row in found:
        print(f"{row['name']:<36} {row['value']:>8} {row['unit']:<3} {row['ratio']:>6} of the {row['reference']}")
    print(json.dumps(found))
