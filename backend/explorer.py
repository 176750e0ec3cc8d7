"""The only door of pages and commands to what was computed: every question stands here, by name, in one line.

What a question takes and says stands at its function in `backend.questions`; `help(Explorer.search)` shows it. All tables
are pandas; a `ref` is a `CodeRef`; a `site` is a codebook's name; a `half` is 0 (claims are made on it), 1 (claims are tested
on it, held out) or None (both). Reading never changes anything; what people write goes through `Explorer.people`. Nothing
here imports torch until `live` is called.
"""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

from backend import catalog
from backend.analysis.patterns import MAX_PATTERN
from backend.answers.meaning import Coverage, DecodedCode, Description, FirstLook, StateView, TopicItem
from backend.answers.people import CodeList, Label, MergeReport, Note
from backend.answers.printed import show
from backend.answers.stored import (
    Clause,
    CodeStats,
    Context,
    Example,
    HeldOut,
    ItemView,
    Patch,
    QueryResult,
    SearchResult,
    Token,
)
from backend.calls import Call, as_python, recording
from backend.questions import (
    associations,
    boolean,
    concepts,
    decoding,
    descriptions,
    finding,
    first_sight,
    machines,
    overview,
    pictures,
    places,
    search,
    tags,
    topics,
    usage,
)
from backend.questions.question import of_archive, of_code, of_model
from backend.store.archive import Archive
from backend.store.limits import LIMITS
from backend.store.people import People
from backend.store.reader import Reader

__all__ = [
    "LIMITS",
    "MAX_PATTERN",
    "Call",
    "Clause",
    "CodeList",
    "CodeStats",
    "Context",
    "Coverage",
    "DecodedCode",
    "Description",
    "Example",
    "Explorer",
    "FirstLook",
    "HeldOut",
    "ItemView",
    "Label",
    "MergeReport",
    "Note",
    "Patch",
    "People",
    "QueryResult",
    "SearchResult",
    "StateView",
    "Token",
    "TopicItem",
    "as_python",
    "recording",
    "show",
]


class Explorer:
    """Answers questions about every model of one data directory; may be shared by any number of threads.

    Every method but `people` and `live` is pure reading. Methods that take a model or a ref raise `UnknownModel`,
    `NoBuild`, `StoreVersion`, `StoreError` or `UnknownCode` where there is nothing to read.
    """

    def __init__(self, data_dir: str | Path) -> None:
        self.data_dir = Path(data_dir)
        self.archive = Archive.of(self.data_dir)
        self._live: dict[str, Any] = {}
        self._live_lock = threading.Lock()

    @property
    def people(self) -> People:
        """What people write: labels, lists and notes."""
        return self.archive.people

    def reader(self, model: str) -> Reader:
        """Return the reader of the model's newest valid build (for code inside `backend`, not for pages)."""
        return self.archive.reader(model)

    def build(self, model: str) -> str:
        """Return the id of the build that answers for the model now, without opening it; a good key for caches."""
        newest = self.archive.library.newest(model)
        return newest[0] if newest else self.reader(model).build  # which says why there is none

    # ---- models and codebooks

    models = of_archive(overview.models, shown=False)
    facts = of_model(overview.facts, shown=False)
    metrics = of_model(overview.metrics)
    published = of_archive(overview.published)
    measured_edits = of_archive(overview.measured_edits, kept="never", shown=False)
    comparisons = of_archive(overview.comparisons)
    codebooks = of_model(usage.codebooks, shown=False)
    codes = of_model(usage.codes)
    utilization = of_model(usage.utilization)
    outputs = of_model(usage.outputs)
    training_curve = of_model(usage.training_curve)

    # ---- before anything was asked

    first_look = of_model(first_sight.first_look)
    code_names = of_model(first_sight.code_names, shown=False)
    find = of_archive(finding.find, shown=False)

    # ---- one code

    code = of_archive(usage.code, kept="by build")
    previous_and_next = of_code(usage.previous_and_next, shown=False)
    examples = of_code(places.examples)
    tokens_of = of_code(associations.tokens_of)
    labels_of = of_code(associations.labels_of)
    tags_of = of_code(tags.tags_of)
    neighbours = of_code(associations.neighbours)
    together = of_code(associations.together)
    beside = of_code(associations.beside)
    alike = of_code(associations.alike)

    # ---- search

    search = of_model(search.search)
    query = of_model(boolean.query)

    # ---- places

    context = of_model(places.context)
    item = of_model(places.item)
    codes_at = of_model(places.codes_at)
    codes_of_item = of_model(places.codes_of_item)

    # ---- labels and tags (the truth in the data, not people's)

    label_fields = of_model(associations.label_fields, shown=False)
    label_values = of_model(associations.label_values, shown=False)
    label_matrix = of_model(associations.label_matrix)
    code_totals = of_model(associations.code_totals)
    tag_fields = of_model(tags.tag_fields, shown=False)
    all_labels = of_model(tags.all_labels, shown=False)

    # ---- from a label to its code, from a code to its description, and passages

    concepts = of_model(concepts.concepts)
    describe = of_code(descriptions.describe)
    descriptions = of_model(descriptions.descriptions)
    passage_codes = of_model(topics.passage_codes)
    covered_passages = of_code(topics.covered_passages)
    next_topic = of_model(topics.next_topic)

    # ---- finite-state machines

    states = of_model(machines.states)
    machine = of_model(machines.machine, shown=False)

    # ---- pictures

    picture = of_model(pictures.picture, kept="never")
    token_map = of_model(pictures.token_map, kept="never")
    patches = of_code(pictures.patches, kept="never")
    patches_at = of_model(pictures.patches_at, kept="never")
    typical_patches = of_model(pictures.typical_patches, kept="never", shown=False)
    code_places = of_code(pictures.code_places)
    decoded = of_code(decoding.decoded, kept="never", shown=False)

    # ---- the model itself

    def live(self, model: str) -> Any:
        """Return the model itself, loaded on first use, one per model and process.

        Returns:
            What the door `live` of the model's family gives: of a transformer its `LiveModel`, of an image tokenizer its
            `LiveTokenizer`.

        Raises:
            Unsupported: models of its family cannot be looked at live.
        """
        with self._live_lock:
            if model not in self._live:
                from backend.families import open_live

                self._live[model] = open_live(catalog.find(model, self.data_dir), self.data_dir)
            return self._live[model]
