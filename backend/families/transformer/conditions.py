"""How often does steering succeed? n samples under each condition, with the same prompt and seed.

    unsteered   no edits
    steered     the edits
    control     the same edits with random live codes in their codes' place
    neuron      the best neurons held at their mean activation where the truth holds, as many as the edits have codes, at
                the positions of the edits (where these differ: at the longest stretch of new tokens, else everywhere)
    dose        the edits once more at shares of their strength

The best neurons are those whose mean over the true positions is farthest from their mean over all positions, in standard
deviations; either sign, all attention and feed-forward outputs, items of the data set that models are trained on. What is
true is the data's own truth, or the positions that a pattern of success names.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from backend.analysis.intervals import wilson
from backend.analysis.patterns import compile_pattern
from backend.answers.live import Arm, Comparison
from backend.data.datasets import source_of
from backend.data.source import DataSource
from backend.edits.codes import MOVES, HeldNeuron, Where, first_generated
from backend.errors import BadInput
from backend.families.transformer.measure_concepts import matching
from backend.families.transformer.text_model import TextModel
from backend.types import Edit, Generated, Item, Progress, Sampling

ITEMS = 200  # that the best neurons are found on
Topic = tuple[str, str]  # field and value


@dataclass(frozen=True)
class Goal:
    """What steering should bring about.

    Attributes:
        pattern: RE2; a text succeeds if it matches. Empty: the data set's own judgement counts.
        topic: field and value of what a text should be; None where only the pattern counts.
    """

    pattern: str = ""
    topic: Topic | None = None

    def __bool__(self) -> bool:
        return bool(self.pattern or self.topic)

    def test(self, source: DataSource) -> Callable[[str], bool]:
        """Return what says of a new text whether it succeeds.

        Raises:
            BadInput: there is nothing to judge by.
            BadPattern: the pattern cannot be used.
        """
        if self.pattern:
            pattern = compile_pattern(self.pattern).compiled
            return lambda text: pattern.search(text) is not None
        behaviour = source.behaviour(*self.topic) if self.topic else None
        if behaviour is None or source.judge is None:
            known = [f"{field}={value}" for field, values in source.judged.items() for value in values]
            wanted = "=".join(self.topic)[:80] if self.topic else "nothing"
            raise BadInput(
                f"New text cannot be judged by {wanted!r}. Give a pattern of success (--success REGEX)"
                + (f", or one of: {', '.join(known)}." if known else ".")
            )
        judge, field, value = source.judge, behaviour.field, behaviour.value
        return lambda text: value in judge(text).get(field, ())

    def field_and_value(self, source: DataSource) -> Topic:
        """Return the tag or label of the data that `topic` means."""
        assert self.topic is not None
        behaviour = source.behaviour(*self.topic)
        return behaviour.truth if behaviour else self.topic

    def truth(self, source: DataSource, items: Sequence[Item]) -> np.ndarray:
        """Return bool `[P]`: where in the items it is true.

        Raises:
            BadInput: nowhere.
        """
        if self.topic:
            return true_positions(items, *self.field_and_value(source))
        truth = np.zeros(sum(item.positions for item in items), dtype=bool)
        truth[matching(items, self.pattern)] = True
        if not truth.any():
            raise BadInput(f"Nothing in {len(items)} items matches {self.pattern[:80]!r}.")
        return truth


def true_positions(items: Sequence[Item], field: str, value: str) -> np.ndarray:
    """Return bool `[P]`: positions of the items with that tag, else positions with that label.

    Raises:
        BadInput: no item has such a tag or label.
    """
    parts = [
        np.full(item.positions, item.tags[field] == value)
        if field in item.tags
        else np.array([v == value for v in item.labels.get(field, [""] * item.positions)])
        for item in items
    ]
    truth = np.concatenate(parts) if parts else np.zeros(0, dtype=bool)
    if not truth.any():
        known = sorted({name for item in items for name in (*item.tags, *item.labels)})
        raise BadInput(
            f"Nothing in {len(items)} items has {field[:60]!r} = {value[:60]!r}. Known fields: {', '.join(known) or 'none'}."
        )
    return truth


@dataclass(frozen=True)
class Plan:
    """What is compared.

    Attributes:
        prompt: text before the new tokens.
        edits: in force in the steered arm.
        sampling: the same in all arms.
        goal: what a success is; an empty one counts none.
        dose: shares of their strength, 0 to 1.5, that all edits are tried at.
        dose_samples: samples of each share.
    """

    prompt: str
    edits: tuple[Edit, ...]
    sampling: Sampling
    goal: Goal
    dose: tuple[float, ...] = ()
    dose_samples: int = 20

    def names(self) -> dict[str, float]:
        """Name -> share of the edits' strength in the arms, in the order in which they are made."""
        neuron = ["neuron"] if self.goal else []
        return dict.fromkeys(["unsteered", "steered", "control", *neuron], 1.0) | {f"dose {s:g}": s for s in self.dose}

    def sampling_of(self, name: str) -> Sampling:
        """Return how many samples an arm has, and how they are made."""
        return replace(self.sampling, samples=self.dose_samples) if name.startswith("dose") else self.sampling


def arms(live: TextModel, plan: Plan, done: Sequence[Arm] = (), progress: Progress | None = None) -> Iterator[Arm]:
    """Yield the conditions of the module, one after the other; the neurons only where there is a goal and it is true somewhere.

    Args:
        live: the model.
        plan: what is compared.
        done: arms that an earlier, interrupted run has made of the same plan; they come again as they are.
        progress: called with (what, tokens done, tokens of all arms).
    """
    succeeds = plan.goal.test(source_of(live.spec.dataset)) if plan.goal else None
    ready = {arm.name: arm for arm in done}
    samplings = {name: plan.sampling_of(name) for name in plan.names()}
    total = sum(s.samples * s.max_new_tokens for s in samplings.values())
    before = 0
    for name, strength in plan.names().items():
        sampling, used, neurons = samplings[name], list(plan.edits), list[HeldNeuron]()
        if name == "unsteered":
            used = []
        elif name == "control":
            used = live.random_edits(used, sampling.seed)
        elif name == "neuron" and name not in ready:
            used, neurons = [], best_neurons(live, plan.goal, used)
        elif name.startswith("dose"):
            used = [edit.scaled(strength) for edit in used]
        if name in ready:
            yield ready[name]
        elif name != "neuron" or neurons:
            began, samples = time.perf_counter(), list[Generated]()
            for samples in live.stream(plan.prompt, sampling, edits=used, neurons=neurons):
                if progress:
                    tokens = len(samples[0].tokens) - samples[0].prompt_length
                    progress(f"writing, {name}", before + sampling.samples * tokens, total)
            seconds = time.perf_counter() - began
            hits, low, high = None, float("nan"), float("nan")
            if succeeds is not None:
                hits = sum(succeeds(sample.new_text) for sample in samples)
                bounds = wilson(np.array([hits]), np.array([len(samples)]))
                low, high = float(bounds[0][0]), float(bounds[1][0])
            yield Arm(name, used, samples, hits, low, high, live.perplexity(samples), seconds, neurons, strength)
        before += sampling.samples * sampling.max_new_tokens


def comparison(arms: Sequence[Arm], judged: bool, warnings: Sequence[str] = ()) -> Comparison:
    """Put arms in their places; `judged`: whether there was a goal."""
    named = {arm.name: arm for arm in arms}
    sentences = list(warnings)
    if judged and "neuron" not in named:
        sentences.append(
            "There is no neuron to compare with: what counts as a success names no position of the data set."
        )
    return Comparison(
        named["unsteered"],
        named["steered"],
        named["control"],
        named.get("neuron"),
        [arm for arm in arms if arm.name.startswith("dose")],
        sentences,
    )


def best_neurons(live: TextModel, goal: Goal, edits: Sequence[Edit]) -> list[HeldNeuron]:
    """Return the neurons of the control, see the module; none where the goal is true nowhere."""
    count = len({(edit.site, edit.code) for edit in edits if edit.action in ("force", *MOVES)})
    where = _together([edit.where for edit in edits])
    items = live.family.items(0, ITEMS, 0)
    try:
        truth = goal.truth(source_of(live.spec.dataset), items)
    except BadInput:
        return []
    rows = []
    for site, values in live.family.encode(items, neurons=True).neurons.items():
        mean = values[truth].mean(0)
        away = np.abs(mean - values.mean(0)) / np.maximum(values.std(0), 1e-9)
        rows += [(float(a), site, i, float(m)) for i, (a, m) in enumerate(zip(away, mean, strict=True))]
    rows.sort(key=lambda row: -row[0])
    return [HeldNeuron(site, number, value, where=where) for _, site, number, value in rows[:count]]


def _together(places: Sequence[Where]) -> Where:
    """Return the place that holds all of these: the longest stretch of new tokens, where they are such; else everywhere."""
    if len({*places}) == 1:
        return places[0]
    new = [first_generated(where) for where in places]
    return max(zip(new, places, strict=True))[1] if new and None not in new else "all"
