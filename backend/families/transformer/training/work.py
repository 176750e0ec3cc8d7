"""About how long the stages of a training run take, in seconds on two cores, so that a bar can show the whole of it.

Only what they are to each other counts: `backend.train.stages` measures how fast they go. The constants fit what the shipped
models took within a factor of two.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from backend import catalog
from backend.families.transformer.checkpoint import read_config
from backend.families.transformer.training.recipe import Recipe
from backend.families.transformer.training.shapes import Shape
from backend.formats.weights import WEIGHTS
from backend.nn.insertion.placement import Placement
from backend.train.recipes import MEASURING

if TYPE_CHECKING:
    from backend.families.transformer.plan import TransformerPlan

TEXT, CORPUS, BASE, CODES, TRAINING = "text", "corpus", "base", "codes", "training"  # stages of a run
ACTIVATIONS = 32_768  # that first codes are fitted to, at least,
ACTIVATIONS_A_CODE = 8  # and for each code
ROUNDS, REFINING, REFINED = 10, 600, 1024  # rounds of k-means; steps of refining, activations in each

_FLOPS = 2e10  # multiplications and additions a second
_COMPARED = 2e8  # scores a second of which the best are chosen
_CALL = 2e-3  # seconds that any layer, and any choice of codes, takes however little there is to compute
_GATHERED = 5e7  # numbers a second that are fetched from a table by its rows, and whose gradients go back there
READING, CUTTING = 10.0, 20.0  # text for a tokenizer; a corpus into tokens
SMALL_VOCABULARY = 64  # of data that need no tokenizer
_MEASURED = 256  # items a seed
_JUDGING, _JUDGED = 5.0, 2  # what is measured of codes alone; forward passes for each codebook layer
SEARCH = 600.0  # for the edits that steer to one behaviour


@dataclass(frozen=True)
class Codebook:
    """One codebook layer.

    Attributes:
        width: values of an activation, all groups together.
        groups: codebooks that share the width.
        codes: of each.
        k: codes chosen.
        refined: its first codes are refined behind k-means.
    """

    width: int
    groups: int
    codes: int
    k: int
    refined: bool

    @property
    def rows(self) -> int:
        """Activations that its first codes are fitted to."""
        return max(ACTIVATIONS, ACTIVATIONS_A_CODE * self.codes)

    def choosing(self, rows: int) -> float:
        """Estimate the seconds in which codes are chosen for so many activations."""
        return _CALL + 2 * rows * self.codes * self.width / _FLOPS + self.groups * rows * self.codes / _COMPARED

    def learning(self, rows: int) -> float:
        """Estimate the seconds in which codes are chosen, put together and corrected."""
        return self.choosing(rows) + rows * self.k * self.width / _GATHERED

    @property
    def round(self) -> float:
        """Seconds of a round of k-means."""
        return self.choosing(self.rows)

    @property
    def refining(self) -> float:
        """Seconds of all steps of refining."""
        return REFINING * self.learning(REFINED) if self.refined else 0.0


@dataclass(frozen=True)
class Size:
    """A model without codebooks: about how many parameters it has, and its layers."""

    parameters: int
    layers: int

    def forward(self, tokens: int) -> float:
        """Return the seconds of a forward pass; with the gradients it is three times that."""
        return _CALL * self.layers + 2 * self.parameters * tokens / _FLOPS


def size_of(shape: Shape, vocabulary: int) -> Size:
    """Return the size of a model that is made from a shape."""
    parameters = shape.layers * (4 * shape.dim**2 + 2 * shape.dim * shape.mlp) + 2 * vocabulary * shape.dim
    return Size(parameters, shape.layers)


def training(recipe: Recipe, length: int, size: Size, books: Sequence[Codebook]) -> float:
    """Return the seconds of all steps of a recipe."""
    tokens = recipe.batch * length
    step = size.forward(tokens) * (3 + recipe.distill) + sum(book.learning(tokens) for book in books)
    return recipe.steps * step


def first_codes(books: Sequence[Codebook], size: Size, how: str = "kmeans") -> float:
    """Return the seconds that the first codes of all codebooks take; `how` as of `first_codes.initialize`."""
    passes = sum(size.forward(book.rows) * number / len(books) for number, book in enumerate(books, 1))
    return {
        "random": 0.0,
        "data": passes,
        "kmeans": passes + sum(ROUNDS * book.round + book.refining for book in books),
    }[how]


def measuring(size: Size, length: int, seeds: int, books: Sequence[Codebook]) -> float:
    """Return the seconds of what is measured at the end, without steering."""
    passes = 2 + _JUDGED * len(books)  # of the model, and of the one below
    return seeds * (passes * size.forward(_MEASURED * length) + (_JUDGING if books else 0.0))


def codebooks_of(placements: Sequence[Placement], config: Any) -> list[Codebook]:
    """Return the codebooks that placements put into a model of that size: a `Shape`, or a Hugging Face configuration."""
    if isinstance(config, Shape):
        layers, width, heads = config.layers, config.dim, config.heads
    else:
        names = ("num_hidden_layers", "hidden_size", "num_attention_heads")
        layers, width, heads = (int(getattr(config, name, 1)) for name in names)
    widths = {"mlp_mid": 4 * width, "qkv": 3 * width}
    return [
        Codebook(
            widths.get(placement.place, width),
            placement.groups or (heads if placement.place == "attn" else 1),
            placement.codes,
            placement.k,
            placement.k > 1 and placement.similarity != "euclidean",
        )
        for placement in placements
        for _ in placement.layers or range(layers)
    ]


def work_of(plan: TransformerPlan) -> dict[str, float]:
    """Return the stages of a run in their order, each with its seconds."""
    if plan.shape is None:
        folder = catalog.checkpoint_folder(catalog.find(plan.origin, plan.run.data_dir), plan.run.data_dir)
        config = read_config(folder).get_text_config()
        size = Size((folder / WEIGHTS).stat().st_size // 4, int(getattr(config, "num_hidden_layers", 1)))
        books = codebooks_of(plan.placements, config)
    else:
        size = size_of(plan.shape, plan.vocabulary or SMALL_VOCABULARY)
        books = codebooks_of(plan.placements, plan.shape)
    stages: dict[str, float] = {}
    if plan.source.corpus is not None:
        stages |= {TEXT: READING if plan.vocabulary else 1.0, CORPUS: CUTTING}
    if plan.base_recipe is not None:
        stages[BASE] = training(plan.base_recipe, plan.length, size, [])
    if books:
        stages[CODES] = first_codes(books, size, plan.first_codes)
    stages[TRAINING] = training(plan.recipe, plan.length, size, books)
    if plan.run.seeds:
        stages[MEASURING] = measuring(size, plan.length, plan.run.seeds, books)
    return stages
