"""Measured numbers, gathered over seeds."""

from __future__ import annotations

from collections import defaultdict

import numpy as np

from backend.types import Metric


class Measures:
    """Values of one metric per seed, gathered into `Metric`s.

    Attributes:
        edits: `FIELD=VALUE` -> the edits that steering was measured with, as commands write them.
    """

    def __init__(self) -> None:
        """Start with nothing measured."""
        self._values: dict[str, list[float]] = defaultdict(list)
        self._about: dict[str, tuple[int, str]] = {}
        self.edits: dict[str, tuple[str, ...]] = {}

    def add(self, name: str, value: float, n: int, definition: str) -> None:
        """Add the value of one seed."""
        self._values[name].append(float(value))
        self._about[name] = (int(n), definition)

    def metrics(self) -> dict[str, Metric]:
        """Return mean, smallest and largest over the seeds."""
        return {
            name: Metric(float(np.mean(v)), min(v), max(v), self._about[name][0], len(v), self._about[name][1])
            for name, v in self._values.items()
        }
