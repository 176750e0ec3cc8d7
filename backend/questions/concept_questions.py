"""What `Explorer` is asked about concepts and topics: from a label to its code, from a code to its description, and passages."""

from __future__ import annotations

from abc import ABC, abstractmethod

import pandas as pd

from backend.calls import recorded
from backend.questions import concepts as concept_table
from backend.questions import descriptions, topics
from backend.questions.descriptions import Description
from backend.questions.topics import Coverage, TopicItem
from backend.store.reader import Reader
from backend.types import CodeRef


class ConceptQuestions(ABC):
    """A part of `backend.explorer.Explorer`; raises what its other methods raise."""

    @abstractmethod
    def reader(self, model: str) -> Reader:
        """The reader of the model's newest valid build."""

    @recorded
    def describe(self, ref: CodeRef) -> Description | None:
        """What the code fires on, found on half 0 and tested on half 1; None where nothing has five hits on half 0."""
        return descriptions.describe(self.reader(ref.model), ref)

    @recorded
    def descriptions(self, model: str, site: str) -> pd.DataFrame:
        """The same of all live codes of a codebook, without controls: `code, text, kind, precision, recall, n`."""
        return descriptions.describe_all(self.reader(model), site)

    @recorded
    def concepts(
        self, model: str, field: str | None = None, min_support: int = 20, neurons: bool = False
    ) -> pd.DataFrame:
        """The code that stands best for each label value, chosen on half 0 by F1; every figure is of half 1.

        Args:
            model: the model.
            field: only the values of this field, `item:FIELD` for a tag; None: of all labels, of a build without any of
                all tags.
            min_support: a value needs at least this many positions on each half.
            neurons: look up the best neuron too, which takes long in a large build.

        Returns:
            `field, value, support` (positions, both halves), `matches` (half 1), `ref, site, code, count, precision,
            recall, f1, hits, precision_low, precision_high, recall_low, recall_high, control` (a code that fires about
            as often, str), `control_precision, chance` (share of positions with the value); with `neurons` as `search`.
        """
        return concept_table.concepts(self.reader(model), field, min_support, neurons)

    @recorded
    def passage_codes(
        self, model: str, item: int, start: int = 0, stop: int | None = None, n: int = 50
    ) -> pd.DataFrame:
        """The codes that cover a passage: positions `start` to `stop` of an item (None: to its end).

        Returns:
            `ref, site, count, fires` (positions of the passage), `share` (of them), `corpus_share, lift, tag,
            tag_precision` (the item's tag that the code says most about, and the share of its activations that lie in
            items with it), `tag_share` (the share of all positions that do).
        """
        return topics.passage_codes(self.reader(model), item, start, stop, n)

    @recorded
    def covered_passages(self, ref: CodeRef, min_share: float = 0.0, n: int = 10, cap: int = 400) -> Coverage:
        """The items of whose positions a code fires at the largest share, `min_share` at least; `cap` tokens of each."""
        return topics.covered_passages(self.reader(ref.model), ref, min_share, n, cap)

    @recorded
    def next_topic(self, model: str, after_item: int = -1, threshold: float = 0.5) -> TopicItem | None:
        """The next item that some topic code covers by more than `threshold`, from the start again behind the last."""
        return topics.next_topic(self.reader(model), after_item, threshold)
