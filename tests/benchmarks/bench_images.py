"""How fast image tokenizers are: `python -m tests.benchmarks.bench_images [NAME ...] [--quick]` prints a table and JSON.

- nearest: codes found in a second beside torch's own full matrix and vector-quantize-pytorch (where it is installed), and
  the share of this machine's measured float32 matrix-product rate that the search reaches.
- tokens: pictures a second of `encode` (what `build` does) beside the bare encoder.
- step: a training step of FVQ beside plain VQ with the same search, at K = 102,400: with the 2,048 tokens a step that the
  tokenizers here are trained with, and with the 32,768 (128 pictures of 256 cells) of the publication. The bridge costs the
  same for both batches.
- decode: an edit of the token map of one picture, decoded, in milliseconds.

What is compared takes turns, and each row is the median over all rounds, so that other work on the machine slows both alike.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import statistics
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

Row = dict[str, Any]
LARGE = 262_144


def _turns(rounds: int, **runs: Callable[[], object]) -> dict[str, list[float]]:
    """Seconds of each call in every round, without the first."""
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    for turn in range(rounds + 1):
        for name, call in runs.items():
            started = time.perf_counter()
            call()
            if turn:
                seconds[name].append(time.perf_counter() - started)
    return seconds


def bench_nearest(rows: int, codes: int, dim: int, rounds: int) -> list[Row]:
    """The exact search beside what it replaces, on the same rows and codes."""
    import torch

    from backend.nn.nearest import nearest

    torch.set_num_threads(1)
    generator = torch.Generator().manual_seed(0)
    z, table = (torch.randn(n, dim, generator=generator) for n in (rows, codes))
    a, b = (torch.randn(1024, 1024, generator=generator) for _ in range(2))
    room = torch.empty(1024, 1024)
    few = z[:128]  # the full matrix of all rows would not fit everywhere
    runs: dict[str, Callable[[], object]] = {
        "ours": lambda: nearest(z, table),
        "peak": lambda: [torch.mm(a, b, out=room) for _ in range(4)],
        "cdist": lambda: torch.cdist(few, table).argmin(-1),
    }
    if importlib.util.find_spec("vector_quantize_pytorch") is not None:
        from vector_quantize_pytorch import VectorQuantize

        other = VectorQuantize(dim=dim, codebook_size=codes).eval()
        runs["library"] = lambda: other(few[None])
    seconds = {name: statistics.median(found) for name, found in _turns(rounds, **runs).items()}
    peak = 4 * 2 * 1024**3 / seconds["peak"]
    rate = rows / seconds["ours"]
    shape = f"{codes:,} codes of {dim}"
    found = [
        {
            "name": f"nearest, {shape}: share of the matrix-product rate",
            "value": round(rate, 1),
            "unit": "rows/s",
            "ratio": round(2 * codes * dim * rate / peak, 3),
            "reference": f"{peak / 1e9:.1f} GFLOP/s",
            "goal": ">= 0.6 x" if dim >= 256 else "-",
        }
    ]
    for name, told in (("cdist", "torch.cdist(...).argmin"), ("library", "vector-quantize-pytorch")):
        if name in seconds:
            there = len(few) / seconds[name]
            found.append(
                {
                    "name": f"nearest, {shape}: beside {told}",
                    "value": round(rate, 1),
                    "unit": "rows/s",
                    "ratio": round(rate / there, 3),
                    "reference": f"{told} {there:.1f} rows/s",
                    "goal": ">= 1 x",
                }
            )
    return found


def _family(codes: int) -> Any:
    """An untrained tokenizer whose codes lie where its latents do."""
    import torch

    from backend.data.datasets import open_images
    from backend.families.image_tokenizer.model import ImageTokenizerFamily
    from backend.nn.image_net import NetSettings
    from backend.nn.image_tokenizer import ImageTokenizer, TokenizerConfig, rows_of_cells
    from backend.types import ModelSpec

    torch.set_num_threads(1)
    torch.manual_seed(0)
    dataset = {"name": "scenes", "size": 32}
    model = ImageTokenizer(TokenizerConfig("small", NetSettings().to_json(), (codes,))).eval()
    with torch.no_grad():
        rows = rows_of_cells(model.encode(torch.rand(256, 3, 32, 32) * 2 - 1))
        picks = torch.randint(len(rows), (codes,))
        model.tables[0].copy_(rows[picks] + 0.1 * rows.std() * torch.randn(codes, model.code_dim))
    spec = ModelSpec("bench", "image_tokenizer", "image", "", dataset, "checkpoints/bench")
    return ImageTokenizerFamily(spec, model.requires_grad_(False), open_images(dataset, Path()))


def bench_tokens(codes: int, rounds: int) -> list[Row]:
    """Token maps of 256 pictures beside the encoder alone."""
    import torch

    from backend.families.image_tokenizer.model import BATCH_PIXELS

    family = _family(codes)
    pixels = family.dataset.pixels(0, 256, 1)
    images, pictures = torch.from_numpy(pixels), list(pixels)

    @torch.no_grad()
    def bare() -> None:
        for part in images.split(BATCH_PIXELS // images[0, 0].numel()):
            family.model.encode(part)

    seconds = _turns(rounds, encode=lambda: family.encode_pixels(pictures), bare=bare)
    rate, reference = (len(pictures) / statistics.median(seconds[name]) for name in ("encode", "bare"))
    return [
        {
            "name": f"tokens of pictures of 32 pixels, {codes:,} codes",
            "value": round(rate, 1),
            "unit": "pictures/s",
            "ratio": round(rate / reference, 3),
            "reference": f"bare encoder {reference:.1f} pictures/s",
            "goal": ">= 0.8 x",
        }
    ]


def bench_published(rounds: int) -> list[Row]:
    """The same for a network of LlamaGen VQ-16's size (72 million parameters) and a picture of 256 pixels."""
    import numpy as np
    import torch

    from backend.data.datasets import open_images
    from backend.families.image_tokenizer.model import ImageTokenizerFamily
    from backend.nn.image_tokenizer import ImageTokenizer, TokenizerConfig
    from backend.nn.vqgan import Half, VqganSettings
    from backend.types import ModelSpec

    torch.set_num_threads(1)
    torch.manual_seed(0)
    widths = (128, 128, 256, 256, 512)
    settings = VqganSettings(Half(128, widths, 2, (4,)), Half(512, widths[::-1], 3, (0,)), 256, 8)
    model = ImageTokenizer(TokenizerConfig("vqgan", settings.to_json(), (16_384,), True)).eval().requires_grad_(False)
    model.tables[0].copy_(torch.randn(16_384, 8))
    dataset = {"name": "scenes", "size": 256}
    spec = ModelSpec("bench", "image_tokenizer", "image", "", dataset, "checkpoints/bench")
    family = ImageTokenizerFamily(spec, model, open_images(dataset, Path()))
    picture = np.random.default_rng(0).uniform(-1, 1, (3, 256, 256)).astype(np.float32)
    image = torch.from_numpy(picture)[None]

    @torch.no_grad()
    def bare() -> None:
        model.encode(image)

    seconds = _turns(rounds, encode=lambda: family.encode_pixels([picture]), bare=bare)
    rate, reference = (1 / statistics.median(seconds[name]) for name in ("encode", "bare"))
    return [
        {
            "name": "tokens of a picture of 256 pixels, network of VQ-16's size, 16,384 codes",
            "value": round(rate, 3),
            "unit": "pictures/s",
            "ratio": round(rate / reference, 3),
            "reference": f"bare encoder {reference:.3f} pictures/s",
            "goal": ">= 0.8 x",
        }
    ]


def bench_step(codes: int, pictures: int, rounds: int) -> list[Row]:
    """A training step of FVQ beside plain VQ: forward, backward, optimizer; the same network, search and batch."""
    import torch

    from backend.families.image_tokenizer.training.recipe import TokenizerRecipe
    from backend.families.image_tokenizer.training.tokenizers import Learner

    torch.set_num_threads(1)
    torch.manual_seed(0)
    images = torch.rand(pictures, 3, 32, 32) * 2 - 1

    def step_of(method: str) -> Callable[[], None]:
        learner = Learner(TokenizerRecipe({"name": "scenes"}, method, codes), None)
        optimizer = torch.optim.Adam([p for p in learner.parameters() if p.requires_grad], lr=1e-3)

        def step() -> None:
            made, loss, _ = learner(images, quantize=True)
            optimizer.zero_grad(set_to_none=True)
            ((made - images).square().mean() + loss).backward()
            optimizer.step()

        return step

    seconds = _turns(rounds, fvq=step_of("fvq"), plain=step_of("vq"))
    ours, plain = (statistics.median(seconds[name]) for name in ("fvq", "plain"))
    return [
        {
            "name": f"training step of FVQ, {codes:,} codes, {64 * pictures:,} tokens",
            "value": round(ours, 3),
            "unit": "s",
            "ratio": round(ours / plain, 3),
            "reference": f"plain VQ without one-hot rows {plain:.3f} s",
            "goal": "<= 3 x",
        }
    ]


def bench_decode(rounds: int) -> list[Row]:
    """One picture's token map, decoded again after an edit; the 95th percentile."""
    import numpy as np

    family = _family(16_384)
    codes = {"vq": np.random.default_rng(0).integers(0, 16_384, (1, 8, 8, 1))}
    seconds = sorted(_turns(20 * rounds, decode=lambda: family.decode(codes))["decode"])
    p95 = seconds[int(0.95 * len(seconds))]
    return [
        {
            "name": "an edited token map of 8 x 8 cells, decoded",
            "value": round(1000 * p95, 2),
            "unit": "ms, p95",
            "ratio": round(p95 / 0.3, 4),
            "reference": "300 ms for the whole edit",
            "goal": "<= 1 x",
        }
    ]


BENCHMARKS: dict[str, Callable[[bool], list[Row]]] = {
    "nearest-large": lambda quick: bench_nearest(256 if quick else 512, LARGE, 256, 1 if quick else 3),
    "nearest-small": lambda quick: bench_nearest(4096, 16_384, 16, 3 if quick else 9),
    "tokens-1k": lambda quick: bench_tokens(1024, 3 if quick else 9),
    "tokens-16k": lambda quick: bench_tokens(16_384, 3 if quick else 9),
    "tokens-published": lambda quick: bench_published(1 if quick else 3),
    "step": lambda quick: bench_step(102_400, 32, 2 if quick else 5),
    "step-published": lambda quick: bench_step(102_400, 512, 1 if quick else 3),
    "decode": lambda quick: bench_decode(3 if quick else 10),
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
