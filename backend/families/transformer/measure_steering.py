"""Measured steering: how often a behaviour comes about, unsteered, steered, and with random codes in the codes' place.

Codes are found on training items and on prompts of their own (`finding`), which takes some ten minutes a behaviour, or
were so found earlier; the arms below write from other prompts.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Mapping, Sequence

import numpy as np

from backend.analysis.measures import Measures
from backend.analysis.seeds import numbered
from backend.data.datasets import source_of
from backend.data.judging import Behaviour
from backend.families.transformer.conditions import Goal
from backend.families.transformer.finding import Finder
from backend.families.transformer.text_model import TextModel
from backend.types import Edit, Progress, Sampling

SAMPLES = 200  # of every arm, over all seeds together
FIRST_SEED = 7_000  # of the samples: far from those that codes are chosen on


class SteeringMeasures:
    """The edits that were found for every behaviour of a data set, and what they do, seed by seed."""

    def __init__(
        self,
        live: TextModel,
        seeds: int,
        known: Mapping[str, Sequence[str]] | None = None,
        progress: Progress | None = None,
    ) -> None:
        """Find the edits that are not known yet.

        Args:
            live: the model.
            seeds: how many share the samples.
            known: `FIELD=VALUE` -> edits as commands write them.
            progress: called with (what, done, total).

        Raises:
            UnknownCode: known edits name codes that the model does not have.
        """
        self.live = live
        self.samples = -(-SAMPLES // seeds)
        source = source_of(live.spec.dataset)
        trial = source.trial
        assert trial is not None
        self.trial = trial
        goals = {behaviour: Goal(topic=behaviour.truth) for behaviour in trial.behaviours}
        self.tests = {behaviour: goal.test(source) for behaviour, goal in goals.items()}
        self.edits: dict[Behaviour, tuple[Edit, ...]] = {}
        finder = Finder(live, progress=progress)
        for behaviour, goal in goals.items():
            written = (known or {}).get(f"{behaviour.field}={behaviour.value}", ())
            self.edits[behaviour] = tuple(map(Edit.parse, written)) or finder.find(goal).edits
            live.family.model.ready(self.edits[behaviour])  # raises where a code is not there

    def measure(self, into: Measures, seed: int, progress: Progress | None = None) -> None:
        """Add one seed of every measure."""
        trial, live = self.trial, self.live

        def write(edits: tuple[Edit, ...], number: int) -> tuple[list[str], float, float]:
            began = time.perf_counter()
            sampling = Sampling(
                self.samples,
                trial.new_tokens,
                trial.temperature,
                seed=FIRST_SEED + numbered(seed, "behaviours", number),
            )
            samples = live.write(trial.testing, sampling, edits)
            spent = time.perf_counter() - began
            tokens = sum(len(g.tokens) - g.prompt_length for g in samples)
            return [g.new_text for g in samples], live.perplexity(samples), tokens / spent

        plain, plain_perplexity, speed = write((), 99)
        rates: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
        ratios, speeds = [], []
        for number, behaviour in enumerate(trial.behaviours):
            succeeds, edits = self.tests[behaviour], self.edits[behaviour]
            steered, perplexity, steered_speed = write(edits, number)
            random, _, _ = write(tuple(live.random_edits(edits, numbered(seed, "behaviours", number))), number)
            row = rates[behaviour.field]
            for name, texts in (("unsteered", plain), ("steered", steered), ("random_code", random)):
                row[name].append(float(np.mean([succeeds(text) for text in texts])))
            about = (
                f"share of {self.samples} samples a seed, {trial.new_tokens} new tokens at temperature "
                f"{trial.temperature:g},"
            )
            into.add(
                f"{behaviour.field}_steered.{behaviour.value}",
                row["steered"][-1],
                self.samples,
                f"{about} that are {behaviour.value} by the data's own truth; {len(edits)} edits",
            )
            into.add(
                f"{behaviour.field}_unsteered.{behaviour.value}",
                row["unsteered"][-1],
                self.samples,
                f"{about} that are {behaviour.value} without edits",
            )
            ratios.append(perplexity / plain_perplexity)
            speeds.append(steered_speed / speed)
            if progress:
                progress(f"steering, seed {seed}", number + 1, len(trial.behaviours))
        for field, row in rates.items():
            count = len(row["steered"])
            about = (
                f"mean over {count} values of {field} of the share of {self.samples} samples a seed that have it by the "
                "data's own truth; prompts that no code was chosen on"
            )
            into.add(f"{field}_steered", float(np.mean(row["steered"])), self.samples * count, f"steered: {about}")
            into.add(f"{field}_unsteered", float(np.mean(row["unsteered"])), self.samples, f"no edits: {about}")
            into.add(
                f"{field}_random_code",
                float(np.mean(row["random_code"])),
                self.samples * count,
                f"control, random live codes of the same codebooks in their codes' place: {about}",
            )
        into.add(
            "steered_perplexity_ratio",
            float(np.mean(ratios)),
            self.samples * len(ratios),
            "perplexity of steered text under the base over that of unsteered text, mean over behaviours",
        )
        into.add(
            "steered_speed_ratio",
            float(np.mean(speeds)),
            self.samples * len(speeds),
            "tokens per second with edits over those without, same batch, mean over behaviours",
        )
