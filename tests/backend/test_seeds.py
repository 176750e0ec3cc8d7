"""Seeds made of seeds: the very numbers that recorded figures were drawn with, and no two purposes with the same ones."""

from __future__ import annotations

import numpy as np
import pytest

from backend.analysis.seeds import STREAMS, STRIDES, numbered, stream


@pytest.mark.parametrize(
    ("purpose", "number"), [("random codes", 13), ("effect", 17), ("pairs of walks", 77), ("walks of a belief", 19)]
)
def test_streams_are_those_of_the_recorded_figures(purpose: str, number: int) -> None:
    assert (stream(3, purpose).random(9) == np.random.default_rng((3, number)).random(9)).all()


def test_steps_and_batches_have_the_seeds_of_the_recorded_runs() -> None:
    assert numbered(2, "sampled walks", 256) == 2 * 100_003 + 256
    assert numbered(1, "training batches", 7) == 1_000_010
    assert numbered(4, "code restarts", 25) == 4 * 7919 + 25
    assert numbered(2, "behaviours", 99) == 299


def test_no_two_purposes_see_the_same_numbers() -> None:
    assert len({*STREAMS.values()}) == len(STREAMS) and len({*STRIDES.values()}) == len(STRIDES)
    drawn = {tuple(stream(seed, purpose).integers(1 << 30, size=4)) for seed in range(3) for purpose in STREAMS}
    assert len(drawn) == 3 * len(STREAMS)
