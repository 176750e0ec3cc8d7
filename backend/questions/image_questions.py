"""What `Explorer` is asked about pictures and whole items: what a code was chosen for, where, and how a codebook fills up."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

import numpy as np
import pandas as pd

from backend.answers.stored import How, Patch
from backend.calls import recorded
from backend.questions import pictures, tags, usage
from backend.store.reader import Reader
from backend.types import CodeRef


class ImageQuestions(ABC):
    """A part of `backend.explorer.Explorer`; raises what its other methods raise, and `Unsupported` for texts."""

    @abstractmethod
    def reader(self, model: str) -> Reader:
        """The reader of the model's newest valid build."""

    # ---- pictures

    @recorded
    def picture(self, model: str, item: int) -> np.ndarray:
        """What the model was shown, uint8 `[height, width, 3]`; `BadInput` where the build has no such item."""
        return pictures.picture(self.reader(model), item)

    @recorded
    def token_map(self, model: str, item: int, site: str) -> np.ndarray:
        """What a codebook chose over a picture: int32 `[H, W, slots]`; -1 is an empty slot."""
        return pictures.token_map(self.reader(model), item, site)

    # ---- one code

    @recorded
    def patches(
        self, ref: CodeRef, how: How = "random", n: int = 24, seed: int = 0, around: int = 1, half: int | None = None
    ) -> list[Patch]:
        """Cells at which the code was chosen, as they look in their pictures.

        Args:
            ref: the code.
            how: `random`: uniform over all, by `seed`; `top`: nearest to the code first; `boundary`: smallest margin to
                the runner-up first. Ties by position.
            n: how many, 1 to 1000.
            seed: of `random`.
            around: cells around each that `Patch.crop` shows, 0 to 16.
            half: only items of this half.
        """
        return pictures.patches(self.reader(ref.model), ref, how=how, n=n, seed=seed, around=around, half=half)

    @recorded
    def patches_at(self, model: str, site: str, positions: Sequence[int], around: int = 1) -> list[Patch]:
        """The cells at some positions of the build, in that order, with the best code of a codebook there."""
        return pictures.patches_at(self.reader(model), site, positions, around)

    @recorded
    def typical_patches(self, model: str, site: str, codes: Sequence[int], around: int = 1) -> dict[int, Patch]:
        """Code -> the cell of the build that lies nearest to it; codes that never fire are left out."""
        return pictures.typical_patches(self.reader(model), site, codes, around)

    @recorded
    def code_places(self, ref: CodeRef) -> np.ndarray:
        """How often the code was chosen at each cell: int64 `[H, W]`; smaller grids are spread over the largest one."""
        return pictures.code_places(self.reader(ref.model), ref)

    # ---- whole items

    @recorded
    def tag_fields(self, model: str) -> pd.DataFrame:
        """What items are tagged with: `field, value, items`. In `search` a tag's field is written `item:FIELD`."""
        return tags.tag_fields(self.reader(model))

    @recorded
    def all_labels(self, model: str, n: int = 60) -> pd.DataFrame:
        """What `search` can be asked for beside a pattern: the n most frequent values of every label field and tag.

        Returns:
            `field` (`item:FIELD` for tags), `value, positions`.
        """
        return tags.all_labels(self.reader(model), n)

    @recorded
    def tags_of(self, ref: CodeRef, n: int = 20) -> pd.DataFrame:
        """The tags of the items in which the code fires, most frequent first.

        Returns:
            `field, value, count` (activations in items with that tag), `precision` (count / activations of the code),
            `recall` (count / total), `total` (positions of items with that tag).
        """
        return tags.tags_of(self.reader(ref.model), ref, n)

    # ---- a codebook

    @recorded
    def utilization(self, model: str, site: str, points: int = 120) -> pd.DataFrame:
        """How many codes were chosen at least once among the first choices of the build, at growing numbers of choices.

        Returns:
            `chosen` (positions x slots, T), `codes` (different ones among them), `share` (of all K codes), `ceiling`
            (1 - exp(-T / K): the share to expect of a codebook whose codes are all equally likely).
        """
        return usage.utilization(self.reader(model), site, points)

    @recorded
    def outputs(self, model: str, site: str) -> pd.DataFrame:
        """A sample of the vectors that the codebook was asked for, placed among the codes: `pos, pca_x, pca_y`."""
        return usage.outputs(self.reader(model), site)

    @recorded
    def training_curve(self, model: str) -> pd.DataFrame:
        """What the model's card says of its training: `step` and the measures of that moment; empty where nothing."""
        return usage.training_curve(self.reader(model))
