"""Finding the codes that stand for a topic, and the edits that bring it about.

1. Where is the truth: positions of the items with a tag, or with a label; and, one position earlier, where it begins.
2. Every codebook's codes are ranked by what they say of it (`backend.analysis.site_codes`). Beside it stands the order by
   precision alone, of codes that are not too rare.
3. A candidate forces some of the k slots, the least similar ones first, of one codebook or several, at all positions, at the
   first half of the new ones (what is true of whole items), or once, at the last token of the prompt (what is not).
4. Where there are texts to go by, codes are added at strengths found by descent first (`descent`), fluency weighing
   less and less. The best of those for whole items then practise on samples that they write themselves (`practice`).
   Where that is good enough, no candidate that forces is tried.
5. Each candidate writes a few samples from prompts that are used for the search alone. Its worth is the share of them that
   succeed, less what they lose in fluency. From the best of some first ones, single codebooks and several together, a better
   one is climbed to, until there is none: slots more or fewer, the other order of codes, the next codebook, another place.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from backend.analysis.site_codes import SiteCodes, rank_sites
from backend.data.datasets import source_of
from backend.data.judging import FLUENT, LOSS, PRACTICE, TRIES
from backend.edits.codes import Where
from backend.errors import BadInput, Unsupported
from backend.families.transformer.conditions import Goal
from backend.families.transformer.descent import ONCE, Descent, Texts, texts_of, texts_of_beginnings
from backend.families.transformer.practice import Practice
from backend.families.transformer.text_model import TextModel
from backend.types import CodeGrid, Edit, Generated, Item, Progress, Sampling

ALONE, TOGETHER = 3, (2, 3, 5, 8)  # codebooks that are tried alone, and how many together, before climbing begins
# weight of the other tokens in the descent -> rounds, in turn until fluency is lost
ROUNDS = {3.0: 14, 2.0: 6, 1.5: 6, 1.0: 6}
ROUNDS_ONCE = {40.0: 10, 15.0: 6, 6.0: 6, 2.5: 6}  # the same where codes are added at one token
TEXT_ITEMS = 3000  # that the descent's texts are taken from
ENOUGH = 0.6  # worth of edits that add from which none that force are tried
ITEMS = 800  # that codes are ranked on
PROMPTS, PROMPT_TOKENS = 4, 8  # where a data set has no prompts of its own
NEW_TOKENS = 60  # of a sample, where a data set does not say


@dataclass(frozen=True)
class FindResult:
    """What was found for a behaviour.

    Attributes:
        edits: the best ones tried.
        sites: the ranking of step 2, best first.
        tried: one row a candidate: `sites, where, truth` (`now`, `next`, `texts` for a descent, or `samples` for practice),
            `success, perplexity_ratio, worth, edits` (each as commands write it), in the order in which they were tried; the
            ratio is NaN where there is no base.
        prompts: what the samples went on from: test on others.
        items: how many items codes were ranked on.
        samples: of each candidate.
        new_tokens, temperature: of each sample.
    """

    edits: tuple[Edit, ...]
    sites: Sequence[SiteCodes]
    tried: pd.DataFrame
    prompts: tuple[str, ...]
    items: int
    samples: int
    new_tokens: int
    temperature: float


@dataclass(frozen=True)
class Candidate:
    """Edits in the terms in which they are looked for.

    Attributes:
        truth: which ranking: of where it is true (`now`) or of where it begins (`next`).
        slots: how many slots of each codebook are forced, the ranking's first codebooks in turn; 0 leaves one out.
        precise: take each codebook's codes in the order of their precision.
        where: at which positions.
    """

    truth: str
    slots: tuple[int, ...]
    precise: bool
    where: Where

    def edits(self, ranking: Sequence[SiteCodes], slots: Mapping[str, int]) -> tuple[Edit, ...]:
        """Return the edits; `slots`: how many each codebook has."""
        edits = []
        for site, forced in zip(ranking, self.slots, strict=False):
            codes, k = site.precise if self.precise else site.codes, slots[site.site]
            for i in range(forced):
                slot = k - 1 - i if k > 1 else None
                edits.append(Edit(site.site, codes[i % len(codes)], where=self.where, slot=slot))
        return tuple(edits)

    def neighbours(
        self, ranking: Sequence[SiteCodes], slots: Mapping[str, int], places: Sequence[Where]
    ) -> Iterator[Candidate]:
        """Yield candidates that differ in one thing."""
        for i, forced in enumerate(self.slots):
            k = slots[ranking[i].site]
            step = max(1, k // 8)
            for other in {min(k, forced + step), max(0, forced - step)} - {forced} if forced else ():
                changed = (*self.slots[:i], other, *self.slots[i + 1 :])
                if any(changed):
                    yield replace(self, slots=changed)
        if len(self.slots) < len(ranking):
            yield replace(self, slots=(*self.slots, _most(slots[ranking[len(self.slots)].site])))
        yield replace(self, precise=not self.precise)
        for where in places:
            if where != self.where:
                yield replace(self, where=where)


def choosing_prompts(live: TextModel, after: int, seed: int) -> tuple[str, ...]:
    """Return prompts for finding codes: the data set's own ones, else how the items begin that come after the first ones.

    Args:
        live: the model.
        after: this many items are for ranking codes.
        seed: of the items.
    """
    dataset = live.family.dataset
    if trial := source_of(live.spec.dataset).trial:
        return trial.choosing
    items = live.family.items(after, after + PROMPTS, seed) or live.family.items(0, PROMPTS, seed)
    skipped = int(dataset.bos == int(items[0].payload[0]))  # `parse` puts it back
    return tuple(dataset.render(item.payload[skipped : skipped + PROMPT_TOKENS])[0] for item in items)


@dataclass(frozen=True)
class Tried:
    """A candidate that wrote its samples: a row of `FindResult.tried`."""

    sites: int
    where: str
    truth: str
    success: float
    perplexity_ratio: float
    worth: float
    edits: tuple[Edit, ...]


class Finder:
    """Finds the edits for one behaviour after another; what does not depend on the behaviour is worked out once."""

    def __init__(
        self,
        live: TextModel,
        *,
        prompts: Sequence[str] = (),
        items: int = ITEMS,
        samples: int = TRIES,
        new_tokens: int | None = None,
        temperature: float | None = None,
        practice: int = PRACTICE,
        seed: int = 0,
        progress: Progress | None = None,
    ) -> None:
        """Look at a model.

        Args:
            live: the model.
            prompts: what the candidates' samples go on from; none: `choosing_prompts`.
            items: of the model's data set that codes are ranked on.
            samples: of each candidate, over all prompts together.
            new_tokens: of each sample; None: as the data set is tried (`backend.data.judging`), else `NEW_TOKENS`.
            temperature: of each sample; None: as the data set is tried, else 1.
            practice: steps of it, for what is true of whole items; 0 leaves it out.
            seed: of the samples.
            progress: called with (what, done, total).

        Raises:
            Unsupported: the model has no codebooks.
            BadInput: it cannot read a prompt.
        """
        if not live.family.codebooks():
            raise Unsupported(f"{live.spec.name} has no codebooks, so there are no codes to find.")
        for prompt in prompts:
            live.parse(prompt)  # what cannot be read is said before the search
        trial = source_of(live.spec.dataset).trial
        self.live = live
        self._prompts, self._items = tuple(prompts), items
        self._practice, self._progress = practice, progress
        default_tokens, default_temperature = (trial.new_tokens, trial.temperature) if trial else (NEW_TOKENS, 1.0)
        self._sampling = Sampling(
            samples,
            default_tokens if new_tokens is None else new_tokens,
            default_temperature if temperature is None else temperature,
            seed=seed,
        )
        self._infos = live.family.codebooks()
        self._slots = {info.site: info.slots for info in self._infos}

    @cached_property
    def prompts(self) -> tuple[str, ...]:
        """What the candidates' samples go on from."""
        return self._prompts or choosing_prompts(self.live, self._items, self._sampling.seed)

    @cached_property
    def _shown(self) -> Sequence[Item]:
        return self.live.family.items(0, self._items, self._sampling.seed)

    @cached_property
    def _for_texts(self) -> Sequence[Item]:
        """What the descent's texts are taken from: not the items that prompts may be taken from."""
        first = self._items + PROMPTS
        return [*self._shown, *self.live.family.items(first, max(first, TEXT_ITEMS), self._sampling.seed)]

    @cached_property
    def _grids(self) -> Mapping[str, CodeGrid]:
        if self._progress:
            self._progress("ranking codes", 0, 0)
        return self.live.family.encode(self._shown).grids

    @cached_property
    def _unsteered_perplexity(self) -> float:
        """Perplexity of unsteered samples."""
        return self.live.perplexity(self._sample(()))

    def _sample(self, edits: Sequence[Edit]) -> list[Generated]:
        return self.live.write(self.prompts, self._sampling, edits)

    def find(self, goal: Goal) -> FindResult:
        """Find the edits that bring something about; see the module.

        Args:
            goal: where it is true, and what new text is a success.

        Raises:
            BadInput: it is true nowhere, new text cannot be judged, no code says anything about it.
        """
        source = source_of(self.live.spec.dataset)
        succeeds = goal.test(source)
        now = goal.truth(source, self._shown)
        rankings = {"now": rank_sites(self._grids, self._infos, now)}
        if whole_items := _of_whole_items(self._shown, now):
            places: list[Where] = [f"generated:{-(-self._sampling.max_new_tokens // 2)}", "all"]
        else:
            places = ["all", ONCE]
            if (before := _before(self._shown, now)).any():
                rankings["next"] = rank_sites(self._grids, self._infos, before)
        rankings = {truth: ranking for truth, ranking in rankings.items() if ranking}
        if not rankings:
            raise BadInput("No code fires more often where that is true than elsewhere. Look at more items.")
        tried: dict[tuple[Edit, ...], Tried] = {}

        def worth(truth: str, edits: tuple[Edit, ...]) -> float:
            if edits not in tried:
                tried[edits] = self._try(truth, edits, succeeds)
                if self._progress:
                    self._progress(f"trying codes, {len(tried)} so far", 0, 0)
            return tried[edits].worth

        def climbed(candidate: Candidate) -> float:
            return worth(candidate.truth, candidate.edits(rankings[candidate.truth], self._slots))

        texts: Texts | None = None
        if not whole_items:
            texts = texts_of_beginnings(self._for_texts, goal.truth(source, self._for_texts))
        elif goal.topic:
            texts = texts_of(self._for_texts, *goal.field_and_value(source))
        if texts is not None:
            for edits in self._descended(texts):
                worth("texts", edits)
                if tried[edits].perplexity_ratio > FLUENT:
                    break
            if tried and self._practice and whole_items:  # what begins at one token, repetitions would win
                started = max(tried.values(), key=lambda trial: trial.worth)
                worth("samples", self._practised(started.edits, succeeds))
        if not tried or max(trial.worth for trial in tried.values()) < ENOUGH:
            for truth, ranking in rankings.items():
                best = max(self._starts(truth, ranking, places[:1] if whole_items else places), key=climbed)
                while True:
                    better = max(best.neighbours(ranking, self._slots, places), key=climbed)
                    if climbed(better) <= climbed(best) + 1e-9:
                        break
                    best = better
        chosen = max(tried.values(), key=lambda trial: trial.worth)
        rows = [{**vars(trial), "edits": tuple(map(str, trial.edits))} for trial in tried.values()]
        return FindResult(
            edits=chosen.edits,
            sites=rankings.get("now", []),
            tried=pd.DataFrame(rows),
            prompts=self.prompts,
            items=len(self._shown),
            samples=self._sampling.samples,
            new_tokens=self._sampling.max_new_tokens,
            temperature=self._sampling.temperature,
        )

    def _starts(self, truth: str, ranking: Sequence[SiteCodes], places: Sequence[Where]) -> list[Candidate]:
        """Return single codebooks and several together, most of their slots forced."""
        most = [_most(self._slots[site.site]) for site in ranking]
        forced = [(*(0,) * i, most[i]) for i in range(min(ALONE, len(ranking)))]
        forced += [tuple(most[:count]) for count in TOGETHER if count <= len(ranking)]
        return [Candidate(truth, slots, False, where) for slots in forced for where in places]

    def _descended(self, texts: Texts) -> Iterator[tuple[Edit, ...]]:
        """Yield edits that a descent finds."""
        descent = Descent(self.live.family.model, texts, self._sampling.seed)

        def progress() -> None:
            if self._progress:
                self._progress(f"choosing codes by descent, {len(descent.added.edits())} so far", 0, 0)

        for weight, rounds in (ROUNDS_ONCE if texts.where == ONCE else ROUNDS).items():
            descent.run(weight, rounds, progress)
            if edits := descent.added.edits():
                yield edits

    def _practised(self, edits: tuple[Edit, ...], succeeds: Callable[[str], bool]) -> tuple[Edit, ...]:
        """Practise, and return the edits then."""
        sampling = replace(self._sampling, seed=self._sampling.seed + 1)
        practice = Practice(self.live, succeeds, edits, self.prompts, sampling)

        def progress(step: int, success: float) -> None:
            if self._progress:
                self._progress(f"practising, {success:.0%} of the samples succeed", step, self._practice)

        return practice.run(self._practice, progress) or edits

    def _try(self, truth: str, edits: tuple[Edit, ...], succeeds: Callable[[str], bool]) -> Tried:
        samples = self._sample(edits)
        share = float(np.mean([succeeds(sample.new_text) for sample in samples]))
        ratio = self.live.perplexity(samples) / self._unsteered_perplexity
        lost = 0.0 if np.isnan(ratio) else LOSS * max(0.0, ratio - FLUENT)
        sites = len({edit.site for edit in edits})
        where = ", ".join(dict.fromkeys(edit.written_where for edit in edits))
        return Tried(sites, where, truth, share, ratio, share - lost, edits)


def find_edits(live: TextModel, goal: Goal, **options: Any) -> FindResult:
    """Find the edits for one behaviour; the options are those of `Finder`."""
    return Finder(live, **options).find(goal)


def _most(slots: int) -> int:
    """Return three quarters of the slots: where climbing begins."""
    return max(1, round(0.75 * slots))


def _of_whole_items(items: Sequence[Item], truth: np.ndarray) -> bool:
    """Return whether it is true of every position of an item or of none."""
    ends = np.cumsum([item.positions for item in items])
    return all(part.all() or not part.any() for part in np.split(truth, ends[:-1]))


def _before(items: Sequence[Item], truth: np.ndarray) -> np.ndarray:
    """Return bool `[P]`: the positions of the same item right before it begins to be true."""
    before = np.append(truth[1:], False) & ~truth
    before[np.cumsum([item.positions for item in items]) - 1] = False
    return before
