"""The counter at which pages and commands order what takes several readings of a live model: searches and comparisons.

Below it stands what reads and writes text (`text_model`); how a search or a comparison goes is said where it is done.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd

from backend.answers.live import Arm, Belief, Comparison, Lens
from backend.answers.stored import tokens_of
from backend.calls import recorded
from backend.families.kind import Other
from backend.families.transformer import beliefs, conditions
from backend.families.transformer.finding import FindResult, find_edits
from backend.families.transformer.model import TransformerFamily
from backend.families.transformer.text_model import TextModel
from backend.types import Edit, Progress, Sampling

TWENTY = Sampling(samples=20)


class LiveModel(TextModel):
    """One trained model, ready to read a person's text, to be edited and to generate. Safe to share between threads."""

    @recorded
    def lens(self, text: str, edits: Sequence[Edit] = (), top: int = 10) -> Lens:
        """Show which codes fire where in a text, and what comes next.

        Args:
            text: read by the model's data set.
            edits: in force; the unedited codes come beside.
            top: how many next tokens.
        """
        item = self.item(text)
        steered = self.steer(text, edits)
        p, q = np.exp(steered.before.astype(np.float64)), np.exp(steered.after.astype(np.float64))
        kl = (q * (steered.after - steered.before)).sum(-1)
        order = np.argsort(-np.maximum(p[-1], q[-1]), kind="stable")[:top]
        following = pd.DataFrame(
            {
                "token_id": order,
                "token": [self.token_text(int(i)) for i in order],
                "before": p[-1][order],
                "after": q[-1][order],
            }
        )
        changed = {
            site: int((np.sort(grid.codes) != np.sort(steered.grids_before[site].codes)).any(1).sum())
            for site, grid in steered.grids_after.items()
        }
        return Lens(
            item.text,
            item.payload,
            tokens_of(item),
            steered.grids_after,
            steered.grids_before,
            changed,
            np.maximum(kl, 0.0),
            following,
        )

    @recorded
    def compare(
        self,
        prompt: str,
        edits: Sequence[Edit],
        sampling: Sampling = TWENTY,
        *,
        success: str = "",
        topic: tuple[str, str] | None = None,
        dose: Sequence[float] = (),
        dose_samples: int = 20,
        progress: Progress | None = None,
    ) -> Comparison:
        """Compare unsteered and steered text and the controls: same prompt, same seed; `conditions` says how.

        Args:
            prompt: text before the new tokens.
            edits: in force in the steered arm.
            sampling: the same in all arms.
            success: an RE2 pattern; a sample succeeds if it matches in the new text.
            topic: field and value; where there is no pattern, a sample succeeds if its new text has them by the data's own
                truth. It also says what the best neuron is looked for by.
            dose: shares of their strength, 0 to 1.5, that all edits are tried at.
            dose_samples: samples of each strength.
            progress: called with (what, tokens done, tokens).

        Raises:
            BadInput: new text cannot be judged so.
        """
        arms = list(
            self.arms(
                prompt,
                edits,
                sampling,
                success=success,
                topic=topic,
                dose=dose,
                dose_samples=dose_samples,
                progress=progress,
            )
        )
        cut = self.cut(prompt, sampling)
        return conditions.comparison(arms, bool(success or topic), [cut] if cut else [])

    def arms(
        self,
        prompt: str,
        edits: Sequence[Edit],
        sampling: Sampling,
        *,
        success: str = "",
        topic: tuple[str, str] | None = None,
        dose: Sequence[float] = (),
        dose_samples: int = 20,
        done: Sequence[Arm] = (),
        progress: Progress | None = None,
    ) -> Iterator[Arm]:
        """Yield what `compare` compares, each as soon as it is finished; those in `done` are not made again."""
        plan = conditions.Plan(
            prompt, tuple(edits), sampling, conditions.Goal(success, topic), tuple(dose), dose_samples
        )
        return conditions.arms(self, plan, done, progress)

    @recorded
    def find_codes(self, field: str, value: str, *, success: str = "", **options: Any) -> FindResult:
        """Find the codes that stand for something, and the edits that bring it about.

        Args:
            field: name of a tag of whole items or of a label of positions.
            value: what it is where it is true.
            success: an RE2 pattern that says what new text is a success; empty: the data's own truth.
            options: of `backend.families.transformer.finding.find_edits`.

        Raises:
            BadInput: it is true nowhere, or new text cannot be judged so.
        """
        return find_edits(self, conditions.Goal(success, (field, value)), **options)

    @recorded
    def believe(
        self,
        walk: str,
        target: str,
        *,
        at: int = -1,
        places: Sequence[str] = ("mlp",),
        layers: Sequence[int] = (),
        strength: float = 1.0,
        hold: bool = True,
        samples: int = 20,
        new_states: int = 5,
        seed: int = 0,
    ) -> Belief:
        """Make a model whose walk is in state A believe B; see `backend.families.transformer.beliefs.believe`."""
        wish = beliefs.Wish(target, at, tuple(places), tuple(layers), strength, hold)
        return beliefs.believe(self.family, walk, wish, samples=samples, new_states=new_states, seed=seed)


def open_live(family: TransformerFamily, other: Other) -> LiveModel:
    """Open the door `live`."""
    return LiveModel(family, other)
