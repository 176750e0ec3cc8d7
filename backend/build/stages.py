"""The stages of a build, and what share of the whole each takes, so that progress is told of the whole build.

The weights are measured: seconds of each stage on two cores, of language models, a state machine and an image tokenizer,
put together. A stage that takes longer in one model makes the bar slower for a while, never go back.
"""

from __future__ import annotations

from backend.types import Progress

WEIGHTS = {  # stage -> its part of the whole; in the order in which `backend.build.precompute` comes to them
    "load model": 8,
    "verify shards": 1,
    "encode": 55,
    "tables": 2,
    "sort": 1,
    "codes": 3,
    "together": 15,
    "neurons": 3,
    "maps": 4,
    "check": 6,
    "publish": 1,
}
PARTS = 100  # the whole is told in per cent


class Whole:
    """Turns the progress of a build's stages into that of the whole build; stands where `Progress` is asked for."""

    def __init__(self, tell: Progress) -> None:
        """Tell `tell` how far the whole is: `(stage and its counts in words, parts done, PARTS)`."""
        self._tell = tell
        self._share = 0.0

    def __call__(self, stage: str, done: int, total: int) -> None:
        """Take `done` of `total` of a stage; what is a message, or of no known stage, is passed on as it is."""
        if total <= 0 or stage not in WEIGHTS:
            self._tell(stage, done, total)
            return
        before = sum(weight for name, weight in WEIGHTS.items() if _ahead(name, stage))
        share = (before + WEIGHTS[stage] * min(1.0, done / total)) / sum(WEIGHTS.values())
        self._share = max(self._share, share)  # shards that an earlier run finished are verified, then counted again
        counts = f", {done:,} of {total:,}" if total > 1 else ""
        self._tell(f"build, {stage}{counts}", round(PARTS * self._share), PARTS)


def _ahead(name: str, stage: str) -> bool:
    order = list(WEIGHTS)
    return order.index(name) < order.index(stage)
