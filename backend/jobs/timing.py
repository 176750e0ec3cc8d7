"""How long image tokenizers take for a picture, measured so that the figures can be compared and repeated.

1. One pass of every tokenizer that does not count: it loads, allocates and fills caches.
2. Rounds of passes over all the pictures, one tokenizer after the other in each: whatever else the machine does meanwhile
   slows all of them alike. At least `FEWEST` rounds, `PASSES` where they are done within `PATIENCE` seconds.
3. The median of each, and the lowest and highest beside it: a wide range says that the figures are not to be trusted.
4. What else the machine was doing when the rounds began stands with them: its load and its processors.

Two measurements in one process wait for each other: at once they would measure each other.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from backend.answers.live import Tokenizer
from backend.types import Progress

PASSES, FEWEST = 9, 3
PATIENCE = 10.0  # seconds
BUSY = 0.75  # load a processor from which on something else was at work
_ALONE = threading.Lock()


@dataclass(frozen=True)
class Spread:
    """Milliseconds a picture over the passes: their median, and the quickest and the slowest."""

    median: float
    low: float
    high: float


@dataclass(frozen=True)
class Timing:
    """How long one tokenizer takes, and in what state the machine was.

    Attributes:
        encode: pixels to tokens.
        decode: tokens to pixels.
        passes: how many counted, each over all the pictures.
        load: processes that were running or waiting for a processor, mean of the minute before; NaN where the system
            does not say.
        processors: how many the machine has.
    """

    encode: Spread
    decode: Spread
    passes: int
    load: float
    processors: int

    @property
    def busy(self) -> bool:
        """Say whether something else was at work when the passes began."""
        return self.load > BUSY * self.processors

    def state(self) -> dict[str, Any]:
        """Return what the figures were measured in: `passes, load` (None where unknown), `processors, busy`."""
        load = None if self.load != self.load else self.load
        return {"passes": self.passes, "load": load, "processors": self.processors, "busy": self.busy}

    def row(self) -> dict[str, float]:
        """Return `encode_ms, decode_ms` and, with `_low` and `_high`, their range."""
        row: dict[str, float] = {}
        for name, spread in (("encode_ms", self.encode), ("decode_ms", self.decode)):
            row |= {name: spread.median, f"{name}_low": spread.low, f"{name}_high": spread.high}
        return row


def time_passes(tokenizers: Sequence[Tokenizer], pixels: np.ndarray, progress: Progress | None = None) -> list[Timing]:
    """Measure how long each tokenizer takes to encode and to decode the same pictures.

    Args:
        tokenizers: the models.
        pixels: float32 `[n, 3, height, width]` in [-1, 1].
        progress: told about each round.
    """
    with _ALONE:
        load = os.getloadavg()[0] if hasattr(os, "getloadavg") else float("nan")
        tokens = [_tokens(tokenizer.encode(pixels)) for tokenizer in tokenizers]
        for tokenizer, ids in zip(tokenizers, tokens, strict=True):
            tokenizer.decode(ids)
        seconds: list[list[tuple[float, float]]] = [[] for _ in tokenizers]
        began = time.perf_counter()
        for number in range(PASSES):
            if number >= FEWEST and time.perf_counter() - began > PATIENCE:
                break
            if progress is not None:
                progress("timing", number, PASSES)
            for tokenizer, ids, passes in zip(tokenizers, tokens, seconds, strict=True):
                passes.append((_seconds(tokenizer.encode, pixels), _seconds(tokenizer.decode, ids)))
    return [_timing(np.array(passes) * 1000 / len(pixels), load) for passes in seconds]


def _tokens(maps: Mapping[str, Any]) -> dict[str, np.ndarray]:
    return {site: token_map.codes for site, token_map in maps.items()}


def _seconds(run: Callable[[Any], Any], argument: Any) -> float:
    began = time.perf_counter()
    run(argument)
    return time.perf_counter() - began


def _timing(milliseconds: np.ndarray, load: float) -> Timing:
    """Summarise the passes of one tokenizer, `[pass, encode and decode]`."""
    encode, decode = (Spread(*(float(pick(way)) for pick in (np.median, np.min, np.max))) for way in milliseconds.T)
    return Timing(encode, decode, len(milliseconds), load, os.cpu_count() or 1)
