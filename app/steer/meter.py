"""How far a measurement on Steer is, and how long it will take: writing goes by tokens, the search for neurons by seconds."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import streamlit as st

from app.shell.timing import Pace
from backend.answers.live import Arm

if TYPE_CHECKING:
    from app.steer.steer_measure import Asked

REDRAW = 0.2  # seconds between two pictures of the bar
NEURON_SECONDS = 25.0  # that the search for the best neurons takes, until a model's own time is known
BEFORE_NEURONS = "control"  # the arm after which they are looked for


class NeuronPace:
    """How many seconds the last search for a model's best neurons took; shared by all sessions of the process."""

    def __init__(self) -> None:
        self.seconds = NEURON_SECONDS

    @staticmethod
    @st.cache_resource(show_spinner=False)
    def of(model: str) -> NeuronPace:
        """The pace of one model."""
        return NeuronPace()


def expectation(asked: Asked, model: str) -> str:
    """Say what a measurement does and about how long that takes, as far as it is known."""
    arms = 3 + asked.with_neurons
    parts = [f"Writes {arms} × {asked.sampling.samples} texts"]
    if asked.dose:
        parts.append(f"{len(asked.dose)} × {asked.dose_samples} for the curve")
    seconds = Pace.of(f"{model} writes").seconds(asked.tokens)
    neurons = NeuronPace.of(model).seconds if asked.with_neurons else 0.0
    if neurons:
        parts.append(f"looks for the best neurons as a control (about {neurons:.0f} s)")
    whole = f": about {duration(seconds + neurons)} in all" if seconds else ""
    return f"{', '.join(parts[:-1])} and {parts[-1]}{whole}." if len(parts) > 1 else f"{parts[0]}{whole}."


def duration(seconds: float) -> str:
    """Return a time as a person says it: `40 s`, `3 min`."""
    return f"{seconds:.0f} s" if seconds < 90 else f"{seconds / 60:.0f} min"


class Meter:
    """The bar of a running measurement.

    What is left is the tokens to be written, at the pace of those that were, and the search for neurons, which writes
    nothing: without a word of its own the bar would seem to have stopped.
    """

    def __init__(self, bar: Any, asked: Asked, neurons: NeuronPace) -> None:
        """Take a `st.progress`, what is measured, and how long the neurons took the last time."""
        self._bar, self._asked, self._neurons = bar, asked, neurons
        self._neurons_wait = asked.with_neurons
        self._began = time.perf_counter()  # of writing: moved on by what the search for neurons takes
        self._search_began: float | None = None
        self._drawn = 0.0
        self._share, self._share_before = 0.0, 0.0  # of all tokens: written, and by an earlier run that was stopped

    def start(self, done: Sequence[Arm]) -> None:
        """Begin to count; `done`: the arms that an earlier run has made."""
        self._began = time.perf_counter()
        self._neurons_wait = self._neurons_wait and "neuron" not in {arm.name for arm in done}
        texts = sum(len(arm.generated) for arm in done)
        self._share_before = texts * self._asked.sampling.max_new_tokens / max(1.0, self._asked.tokens)

    def wrote(self, what: str, done: int, total: int) -> None:
        """Take what the model says while it writes; this is also where a click on Stop, or on anything else, ends the run."""
        now = time.perf_counter()
        if self._search_began is not None:
            self._neurons.seconds = now - self._search_began
            self._began += self._neurons.seconds
            self._search_began, self._neurons_wait = None, False
        self._share = min(1.0, done / max(1, total))
        if now - self._drawn > REDRAW:
            self._drawn = now
            self._draw(f"{what.capitalize()} ...", now)

    def finished(self, arm: Arm) -> None:
        """Take an arm; after that of the random codes the best neurons are looked for."""
        if arm.name == BEFORE_NEURONS and self._neurons_wait:
            self._search_began = time.perf_counter()
            about = duration(self._neurons.seconds)
            self._draw(f"Looking for the best neurons, the last control: about {about} ...", self._search_began)

    def _draw(self, what: str, now: float) -> None:
        spent, left = now - self._began, self.seconds_left(now)
        share = spent / (spent + left) if left else self._share
        self._bar.progress(share, what + (f" about {duration(left)} left in all" if left >= 1 else ""))

    def seconds_left(self, now: float) -> float:
        """Return how long it will still take; 0 where too little is written to say."""
        written = self._share - self._share_before
        if written < 0.02:
            return 0.0
        writing = (now - self._began) * (1.0 - self._share) / written
        return writing + (self._neurons.seconds if self._neurons_wait else 0.0)
