"""Finding the codes that stand for a topic, and the edits that bring it about.

1. Where is the truth: positions of the items with a tag, or with a label; and, one position earlier, where it begins.
2. Every codebook's codes are ranked by what they add to the divergence between "truth" and "anywhere":
   `p * log(p / q)`, p the share of the true positions at which the code fires, q that of all positions. A codebook's worth
   is the sum over its best k codes.
3. Candidates: the best 1, 2, 3, ... codebooks, each of their k slots forced to one of these codes, at all positions or
   once, at the last token of the prompt.
4. Each candidate writes a few samples from prompts that are used for nothing else; the one that succeeds most often,
   less what it loses in fluency, is taken.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from backend.conditions import Goal, new_text, sample
from backend.data.judging import trial_of
from backend.edits import Where
from backend.errors import BadInput, Unsupported
from backend.types import CodebookInfo, CodeGrid, Edit, Generated, Item, Progress

if TYPE_CHECKING:
    from backend.steering import LiveModel

SITES = (1, 2, 3, 4, 6, 9, 12, 18)
FLUENT = 1.3  # perplexity ratio up to which nothing is lost
EVERYWHERE: tuple[Where, ...] = ("all",)
ONCE: Where = (-1,)  # at the last token of the prompt
PROMPTS, PROMPT_TOKENS = 4, 8  # where a data set has no prompts of its own


@dataclass(frozen=True)
class SiteCodes:
    """The codes of one codebook that stand for something, best first.

    Attributes:
        site: the codebook.
        codes: int `[n]`, at most one per slot.
        worth: nats, see step 2 of the module.
        precision: share of the positions at which one of them fires that are true.
        recall: share of the true positions at which one of them fires.
    """

    site: str
    codes: tuple[int, ...]
    worth: float
    precision: float
    recall: float


@dataclass(frozen=True)
class Found:
    """What was found for a behaviour.

    Attributes:
        edits: the best ones tried.
        sites: the ranking of step 2, best first.
        tried: one row a candidate: `sites, where, truth` (`now` or `next`), `success, perplexity_ratio, worth, edits`
            (each as commands write it); the ratio is NaN where there is no base.
        prompts: what the samples went on from: test on others.
        items: how many items codes were ranked on.
        samples: of each candidate.
    """

    edits: tuple[Edit, ...]
    sites: Sequence[SiteCodes]
    tried: pd.DataFrame
    prompts: tuple[str, ...]
    items: int
    samples: int


def rank_sites(grids: Mapping[str, CodeGrid], infos: Sequence[CodebookInfo], truth: np.ndarray) -> list[SiteCodes]:
    """The codebooks by how much their best codes say of the truth, best first; see step 2 of the module."""
    ranked = []
    for info in infos:
        codes = grids[info.site].codes
        rows = [np.bincount(codes[part][codes[part] >= 0], minlength=info.num_codes) for part in (truth, slice(None))]
        p, q = rows[0] / max(1, truth.sum()), rows[1] / len(truth)
        with np.errstate(divide="ignore", invalid="ignore"):
            gain = np.where(p > q, p * np.log(p / q), 0.0)
        best = np.argsort(-gain, kind="stable")[: info.slots]
        best = best[gain[best] > 0]
        fires = np.isin(codes, best).any(1)
        ranked.append(
            SiteCodes(
                info.site,
                tuple(int(code) for code in best),
                float(gain[best].sum()),
                float((fires & truth).sum() / max(1, fires.sum())),
                float((fires & truth).sum() / truth.sum()),
            )
        )
    return sorted([s for s in ranked if s.codes], key=lambda s: -s.worth)


def edits_of(sites: Sequence[SiteCodes], slots: Mapping[str, int], where: Where) -> tuple[Edit, ...]:
    """Edits that force every slot of some codebooks to their codes, in turn."""
    return tuple(
        Edit(s.site, s.codes[slot % len(s.codes)], where=where, slot=slot if slots[s.site] > 1 else None)
        for s in sites
        for slot in range(slots[s.site])
    )


def choosing_prompts(live: LiveModel, after: int, seed: int) -> tuple[str, ...]:
    """Prompts for finding codes: the data set's own ones, else how the items begin that come after the first ones.

    Args:
        live: the model.
        after: this many items are for ranking codes.
        seed: of the items.
    """
    dataset = live.family.dataset
    if trial := trial_of(str(live.spec.dataset["name"])):
        return trial.choosing
    items = live.family.items(after, after + PROMPTS, seed) or live.family.items(0, PROMPTS, seed)
    skipped = int(dataset.bos == int(items[0].payload[0]))  # `parse` puts it back
    return tuple(dataset.render(item.payload[skipped : skipped + PROMPT_TOKENS])[0] for item in items)


class Finder:
    """Finds the edits for one behaviour after another; what does not depend on the behaviour is worked out once."""

    def __init__(
        self,
        live: LiveModel,
        *,
        prompts: Sequence[str] = (),
        items: int = 400,
        samples: int = 32,
        new_tokens: int = 60,
        seed: int = 0,
        progress: Progress | None = None,
    ) -> None:
        """Look at a model.

        Args:
            live: the model.
            prompts: what the candidates' samples go on from; none: `choosing_prompts`.
            items: of the model's data set that codes are ranked on.
            samples: of each candidate, over all prompts together.
            new_tokens: of each sample.
            seed: of the samples.
            progress: called with (what, done, total).

        Raises:
            Unsupported: the model has no codebooks.
        """
        if not live.family.codebooks():
            raise Unsupported(f"{live.spec.name} has no codebooks, so there are no codes to find.")
        self.live = live
        self._given, self._items = tuple(prompts), items
        self._samples, self._new_tokens, self._seed = samples, new_tokens, seed
        self._progress = progress

    @cached_property
    def prompts(self) -> tuple[str, ...]:
        """What the candidates' samples go on from."""
        return self._given or choosing_prompts(self.live, self._items, self._seed)

    @cached_property
    def _shown(self) -> Sequence[Item]:
        return self.live.family.items(0, self._items, self._seed)

    @cached_property
    def _grids(self) -> Mapping[str, CodeGrid]:
        if self._progress:
            self._progress("ranking codes", 0, 0)
        return self.live.family.encode(self._shown).grids

    @cached_property
    def _usual(self) -> float:
        """Perplexity of unsteered samples."""
        return self.live.perplexity(self._sample(()))

    def _sample(self, edits: Sequence[Edit]) -> list[Generated]:
        return sample(self.live, self.prompts, self._samples, self._new_tokens, self._seed, edits)

    def find(self, goal: Goal) -> Found:
        """Find the edits that bring something about; see the module.

        Args:
            goal: where it is true, and what new text is a success.

        Raises:
            BadInput: it is true nowhere, new text cannot be judged, no code says anything about it.
        """
        live, dataset = self.live, str(self.live.spec.dataset["name"])
        succeeds = goal.test(dataset)
        shown = self._shown
        now = goal.truth(dataset, shown)
        infos = live.family.codebooks()
        slots = {info.site: info.slots for info in infos}
        rankings = {"now": rank_sites(self._grids, infos, now)}
        whole_items = _of_whole_items(shown, now)
        if not whole_items and (before := _before(shown, now)).any():
            rankings["next"] = rank_sites(self._grids, infos, before)
        plans: list[tuple[str, int, Where]] = [
            (kind, count, where)
            for kind, ranking in rankings.items()
            for where in (EVERYWHERE if whole_items else (*EVERYWHERE, ONCE))
            for count in SITES
            if count <= len(ranking)
        ]
        if not plans:
            raise BadInput("No code fires more often where that is true than elsewhere. Look at more items.")
        rows, best = [], (-np.inf, tuple[Edit, ...]())
        for done, (kind, count, where) in enumerate(plans):
            edits = edits_of(rankings[kind][:count], slots, where)
            made = self._sample(edits)
            share = float(np.mean([succeeds(new_text(live, g)) for g in made]))
            ratio = live.perplexity(made) / self._usual
            worth = share - max(0.0, ratio - FLUENT) if np.isfinite(ratio) else share
            rows.append((count, _written(where), kind, share, ratio, worth, tuple(map(str, edits))))
            if worth > best[0] + 1e-9:
                best = (worth, edits)
            if self._progress:
                self._progress("trying codes", done + 1, len(plans))
        tried = pd.DataFrame(rows, columns=["sites", "where", "truth", "success", "perplexity_ratio", "worth", "edits"])
        return Found(best[1], rankings["now"], tried, self.prompts, len(shown), self._samples)


def find_edits(live: LiveModel, goal: Goal, **options: Any) -> Found:
    """The edits for one behaviour; the options are those of `Finder`."""
    return Finder(live, **options).find(goal)


def _of_whole_items(items: Sequence[Item], truth: np.ndarray) -> bool:
    """Whether it is true of every position of an item or of none."""
    ends = np.cumsum([item.positions for item in items])
    return all(part.all() or not part.any() for part in np.split(truth, ends[:-1]))


def _before(items: Sequence[Item], truth: np.ndarray) -> np.ndarray:
    """bool `[P]`: the positions of the same item right before it begins to be true."""
    before = np.append(truth[1:], False) & ~truth
    before[np.cumsum([item.positions for item in items]) - 1] = False
    return before


def _written(where: Where) -> str:
    return where if isinstance(where, str) else ",".join(map(str, where))
