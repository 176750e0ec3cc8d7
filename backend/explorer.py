"""The only door of pages and commands to what was computed: thin methods over one reader per model.

All tables are pandas; a `ref` is a `CodeRef`; a `site` is a codebook's name; a `half` is 0 (claims are made on it), 1
(claims are tested on it, held out) or None (both). Reading never changes anything; what people write goes through
`Explorer.people`. Nothing here imports torch until `live` is called.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from backend import catalog
from backend.answers.stored import (
    Clause,
    CodeStats,
    Context,
    Example,
    FirstLook,
    HeldOut,
    How,
    ItemView,
    Order,
    Patch,
    QueryResult,
    SearchResult,
    Token,
)
from backend.calls import Call, as_python, recorded, recording
from backend.data.machines import Machine
from backend.errors import NoBuild
from backend.questions import beside as associations
from backend.questions import boolean, first_look, search, states, usage
from backend.questions import places as windows
from backend.questions.concept_questions import ConceptQuestions
from backend.questions.descriptions import Description
from backend.questions.image_questions import ImageQuestions
from backend.questions.search import MAX_PATTERN
from backend.questions.states import StateView
from backend.questions.topics import Coverage, TopicItem
from backend.store.limits import LIMITS
from backend.store.people import People
from backend.store.reader import Library, Reader
from backend.types import CodeRef

__all__ = [
    "LIMITS",
    "MAX_PATTERN",
    "Call",
    "Clause",
    "CodeStats",
    "Context",
    "Coverage",
    "Description",
    "Example",
    "Explorer",
    "FirstLook",
    "HeldOut",
    "ItemView",
    "Patch",
    "QueryResult",
    "SearchResult",
    "Token",
    "TopicItem",
    "as_python",
    "recording",
]


class Explorer(ConceptQuestions, ImageQuestions):
    """Answers questions about every model of one data directory; may be shared by any number of threads.

    Every method but `people` and `live` is pure reading. Methods that take a model or a ref raise `UnknownModel`,
    `NoBuild`, `StoreVersion`, `StoreError` or `UnknownCode` where there is nothing to read.
    """

    def __init__(self, data_dir: str | Path) -> None:
        self.data_dir = Path(data_dir)
        self.people = People(self.data_dir / "people.sqlite")
        self._library = Library(self.data_dir)
        self._live: dict[str, Any] = {}
        self._live_lock = threading.Lock()

    def reader(self, model: str) -> Reader:
        """The reader of the model's newest valid build (for code inside `backend`, not for pages)."""
        try:
            return self._library.reader(model)
        except NoBuild:
            catalog.find(model, self.data_dir)  # an unknown name is another mistake than a missing build
            raise

    # ---- models and codebooks

    @recorded
    def models(self) -> pd.DataFrame:
        """Every model of the catalog, and every build of a model that has left it.

        Returns:
            `model, family, kind, title, dataset` (name), `capabilities` (list), `base, checkpoint` (bool: weights are
            there), `built` (build id or ''), `items, positions, activations, codebooks, codes` (0 without a build),
            `dead_fraction` (of all codes, NaN without a build), `finished` (ISO time or ''), `demo, problem` (why
            a build cannot be read, or '').
        """
        return usage.models(self._library)

    def build(self, model: str) -> str:
        """Id of the build that answers for the model now, found without opening it; a good key for caches."""
        newest = self._library.newest(model)
        return newest[0] if newest else self.reader(model).build  # which says why there is none

    @recorded
    def facts(self, model: str) -> dict[str, Any]:
        """What the build says of itself: `schema_version, model, family, seed, items, positions, seconds, ...`."""
        return dict(self.reader(model).facts)

    @recorded
    def metrics(self, model: str) -> pd.DataFrame:
        """Measured when the model was trained: `name, value, low, high, n, seeds, definition`."""
        return usage.metrics(self.reader(model))

    @recorded
    def published(self, model: str) -> dict[str, Any]:
        """The figures of the paper's own model of this kind, from the catalog; never mixed with ours."""
        return dict(catalog.find(model, self.data_dir).published)

    @recorded
    def measured_edits(self, model: str) -> dict[str, tuple[str, ...]]:
        """`FIELD=VALUE` -> the edits that a search found and `evaluate` measured, from the model's card; empty without any."""
        return usage.measured_edits(self.data_dir, model)

    @recorded
    def comparisons(self) -> dict[str, dict[str, Any]]:
        """Whole comparisons with their training, as `reproduce` recorded them: table -> record; the data directory's win.

        A record that cannot be read is left out.
        """
        return usage.comparisons(self.data_dir)

    @recorded
    def codebooks(self, model: str) -> pd.DataFrame:
        """All codebooks in the order of the forward pass.

        Returns:
            `site, place, layer, head` (nullable), `num_codes, dim, slots, similarity, projection` ('umap' or 'pca':
            what `codes().x, y` are), `alive, dead, dead_fraction, activations, entropy_bits, perplexity` (of the usage
            distribution), `rare` (codes with 1 to 4 activations).
        """
        return usage.codebooks(self.reader(model))

    @recorded
    def codes(self, model: str, site: str) -> pd.DataFrame:
        """All codes of a codebook by id, dead ones included.

        Returns:
            `code, count, items, share, entropy` (see `CodeStats`), `x, y` (by `codebooks().projection`, NaN for dead
            codes), `pca_x, pca_y, rank`.
        """
        return usage.codes(self.reader(model), site)

    # ---- before anything was asked

    @recorded
    def first_look(self, model: str) -> FirstLook:
        """The most meaningful codebook of a model and its best code: what a page opens on where nothing was chosen."""
        return first_look.first_look(self.reader(model))

    @recorded
    def code_names(self, model: str, site: str) -> pd.DataFrame:
        """A short name of every live code of a codebook, for chips.

        Returns:
            `code, name, kind`: `label`, `field`, `token`, `before`, `shape` or `ending`: a description that was tested and
            is good, e.g. `story topic = dragon`; `most`: the most frequent token under it, in quotes, of a code that
            nothing describes well. Codes that nothing is known of (of images: that no label describes well) are left out.
        """
        return first_look.code_names(self.reader(model), site)

    # ---- one code

    @recorded
    def code(self, ref: CodeRef) -> CodeStats:
        """The figures of one code, with its newest human label."""
        return usage.code(self.reader(ref.model), ref, self.people)

    @recorded
    def examples(
        self, ref: CodeRef, how: How = "top", n: int = 10, seed: int = 0, context: int = 20, half: int | None = None
    ) -> list[Example]:
        """Places where the code fires.

        Args:
            ref: the code.
            how: `top`: highest score first; `random`: uniform over all activations, by `seed`; `boundary`: smallest
                margin to the runner-up first. Ties by position.
            n: how many, 1 to 1000.
            seed: of `random`.
            context: tokens before and after, 0 to 200.
            half: only items of this half.
        """
        return windows.examples(self.reader(ref.model), ref, how=how, n=n, seed=seed, context=context, half=half)

    @recorded
    def tokens_of(self, ref: CodeRef, n: int = 20) -> pd.DataFrame:
        """The tokens under the code, most frequent first: `token, count, share` (of the code's activations)."""
        return associations.tokens_of(self.reader(ref.model), ref, n)

    @recorded
    def labels_of(self, ref: CodeRef, n: int = 20) -> pd.DataFrame:
        """The label values under the code, most frequent first.

        Returns:
            `field, value, count` (activations at positions with that label), `precision` (count / activations of the
            code), `recall` (count / total), `total` (positions with that label).
        """
        return associations.labels_of(self.reader(ref.model), ref, n)

    @recorded
    def neighbours(self, ref: CodeRef, n: int = 20) -> pd.DataFrame:
        """Live codes of the same codebook with the nearest vectors, by its own similarity.

        Returns:
            `ref, cosine, distance` (Euclidean), `count`.
        """
        return associations.neighbours(self.reader(ref.model), ref, n)

    @recorded
    def together(self, ref: CodeRef, n: int = 20) -> pd.DataFrame:
        """Codes of any codebook that fire at the same positions, by PMI (bits): `ref, together, pmi, count`."""
        return associations.together(self.reader(ref.model), ref, n)

    @recorded
    def beside(self, ref: CodeRef, step: int, n: int = 20, min_together: int = 5) -> pd.DataFrame:
        """Codes of any codebook that fire `step` positions later (negative: earlier) in the same item, by PMI.

        Returns:
            `ref, together` (how often, at least `min_together`), `pmi` (bits: how much more often than anywhere), `count`.
        """
        return associations.beside(self.reader(ref.model), ref, step, n, min_together)

    @recorded
    def alike(self, ref: CodeRef, n: int = 10) -> pd.DataFrame:
        """Codes of *other* codebooks that fire at the most similar positions: `ref, jaccard, together, count`."""
        return associations.alike(self.reader(ref.model), ref, n)

    # ---- search

    @recorded
    def search(
        self,
        model: str,
        pattern: str,
        *,
        sites: Sequence[str] | None = None,
        min_support: int = 5,
        limit: int = 200,
        field: str | None = None,
        value: str | None = None,
        also: Sequence[tuple[str, str]] = (),
        order: Order = "f1",
        baselines: int = 20,
        seed: int = 0,
        held_out: bool = False,
    ) -> SearchResult:
        r"""Which codes fire on a pattern? Exact over the whole build.

        Args:
            model: the model.
            pattern: an RE2 expression (linear time; no look-around, no back-references; `\d`, `\w` and `\b` are ASCII),
                at most `MAX_PATTERN` characters. The token that holds the first character of group 1, or of the whole
                match where there is no group, is the match; a token counts once. May be '' where a label is given.
            sites: only these codebooks.
            min_support: a code needs at least this many hits.
            limit: rows of `SearchResult.codes`.
            field: a label field, or `item:FIELD` for a tag; with `value` a position must have it too (both or none).
            value: its value.
            also: further labels (field, value) that a position must have; `item:FIELD` is a tag of its item.
            order: what the best codes are sorted by.
            baselines: for how many of the best codes the best neuron is looked up.
            seed: of the random-code control.
            held_out: `min_support`, `limit` and `order` look at half 0 alone, and the codes' figures are of half 1 alone,
                where no neuron is looked up.

        Raises:
            BadPattern: too long, empty, not RE2, or it matches the empty string; `position` says where.
            BadInput: an unknown label field, or a label value without a field.
        """
        return search.search(
            self.reader(model),
            pattern,
            sites=sites,
            min_support=min_support,
            limit=limit,
            field=field,
            value=value,
            also=also,
            order=order,
            baselines=baselines,
            seed=seed,
            held_out=held_out,
        )

    @recorded
    def query(
        self,
        model: str,
        clauses: Sequence[Clause],
        *,
        field: str | None = None,
        value: str | None = None,
        pattern: str = "",
        n: int = 10,
        context: int = 20,
        seed: int = 0,
    ) -> QueryResult:
        """Where do codes fire together, without each other, or after each other? Exact counts and examples.

        Clauses are taken from left to right: the first names the code that fires at the position, each further one
        keeps the positions for which its operator holds. `field, value` and `pattern` keep the positions with that
        label and those that match.

        Example:
            `query(m, [Clause("L0.mlp", 4), Clause("L1.mlp", 7, "then", within=3)])`
        """
        return boolean.query(
            self.reader(model),
            clauses,
            field=field,
            value=value,
            pattern=pattern,
            n=n,
            context=context,
            seed=seed,
        )

    # ---- places

    @recorded
    def context(self, model: str, pos: int, before: int = 20, after: int = 20) -> Context:
        """A position with the tokens around it in its item; labels filled. Raises `BadInput` outside the build."""
        return windows.context(self.reader(model), pos, before, after)

    @recorded
    def item(self, model: str, index: int) -> ItemView:
        """One whole item. Raises `BadInput` where the build has none of that number."""
        return windows.item(self.reader(model), index)

    @recorded
    def codes_at(self, model: str, pos: int, sites: Sequence[str] | None = None) -> pd.DataFrame:
        """What every codebook chose at a position: `ref, site, slot, code, score, margin, runner_up` (-1: none)."""
        return windows.codes_at(self.reader(model), pos, sites)

    @recorded
    def codes_of_item(self, model: str, index: int, sites: Sequence[str] | None = None) -> pd.DataFrame:
        """What every codebook chose over one item: `place, site, slot, code, score, margin, runner_up`."""
        return windows.codes_of_item(self.reader(model), index, sites)

    # ---- labels (the truth in the data, not people's)

    @recorded
    def label_fields(self, model: str) -> pd.DataFrame:
        """The fields of per-position truth: `field, values` (how many different), `positions` (that have one)."""
        return associations.label_fields(self.reader(model))

    @recorded
    def label_values(self, model: str, field: str, n: int = 200) -> pd.DataFrame:
        """The most frequent values of a field: `value, positions`."""
        return associations.label_values(self.reader(model), field, n)

    @recorded
    def label_matrix(self, model: str, site: str, field: str, half: int | None = None) -> pd.DataFrame:
        """How often each code fires at positions with each label value: `value, code, count`; no rows for zeros."""
        return associations.label_matrix(self.reader(model), site, field, half)

    @recorded
    def code_totals(self, model: str, site: str, half: int | None = None) -> pd.DataFrame:
        """Activations of each live code: `code, count`; with `half` only in items of that half."""
        return associations.code_totals(self.reader(model), site, half)

    # ---- finite-state machines

    @recorded
    def states(self, model: str, site: str) -> StateView:
        """How the codes of one codebook stand for the states of the model's machine.

        Raises:
            Unsupported: the model is not one of a finite-state machine.
        """
        return states.state_view(self.reader(model), site)

    def machine(self, model: str) -> Machine:
        """The machine of a model: its transitions, its states' names, how walks are written. Raises `Unsupported`."""
        return states.machine_of(self.reader(model))

    # ---- the model itself

    def live(self, model: str) -> Any:
        """The model itself, loaded on first use, one per model and process.

        Returns:
            What the door `live` of the model's family opens: `LiveModel` of a text model, `LiveTokenizer` of an image
            tokenizer.
        """
        with self._live_lock:
            if model not in self._live:
                from backend.families.image_tokenizer.live import LiveTokenizer
                from backend.families.transformer.live import LiveModel

                spec = catalog.find(model, self.data_dir)
                kinds: dict[str, Any] = {"text": LiveModel, "image": LiveTokenizer}
                self._live[model] = kinds[spec.kind](spec, self.data_dir)
            return self._live[model]
