"""What `reproduce` compares of codebook transformers, the settings as data: the paper's Table 1 and Table 2 as we rebuild them.

Each row is trained from the same base with settings that stand below, measured from its checkpoint with several evaluation
seeds, and put beside the paper's figures. Nothing heavy is imported before a table is made (`training.comparison`).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from backend.data.machines import Machine
from backend.families.transformer.training.recipe import Recipe
from backend.families.transformer.training.shapes import Shape
from backend.nn.insertion.placement import Placement
from backend.train.tables import Record, Reproduction, Table


@dataclass(frozen=True)
class Row:
    """One trained model of a comparison.

    Attributes:
        model: its name.
        title: one line for people.
        placements: its codebooks; none for a base.
        recipe: how it is trained (a base) or fine-tuned.
        paper: the paper's figures for this kind of model, as published.
        demo: order in which the explorer builds it on first start; 0 not by itself.
    """

    model: str
    title: str
    placements: tuple[Placement, ...]
    recipe: Recipe
    paper: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    demo: int = 0


@dataclass(frozen=True)
class Comparison:
    """A comparison on one data set; the first row is the base of all others.

    Attributes:
        name: of its record.
        about: one line for people.
        dataset: the `[dataset]` of all rows.
        shape: of the model below.
        rows: what is trained.
        vocabulary: tokens of the tokenizer that is trained; 0 where the data need none.
    """

    name: str
    about: str
    dataset: Mapping[str, Any]
    shape: Shape
    rows: tuple[Row, ...]
    vocabulary: int = 0

    def quick(self) -> Comparison:
        """Return the same comparison with a fiftieth of the steps and small batches: it shows that everything runs."""
        rows = [
            dataclasses.replace(
                row,
                model=f"{row.model}-quick",
                recipe=dataclasses.replace(row.recipe, steps=max(20, row.recipe.steps // 50), batch=8, save_every=0),
                demo=0,
            )
            for row in self.rows
        ]
        return dataclasses.replace(self, name=f"{self.name}-quick", rows=tuple(rows))


# -- machines ----------------------------------------------------------------------------------------------------------


def _machine_paper(source: str, loss: float, accuracy: float, states: float) -> dict[str, Any]:
    return {
        "source": f"Tamkin et al., Table 1: {source} (GPT-NeoX, 4 layers, 20,000 steps of 1,024 sequences)",
        "lm_loss": loss,
        "lm_accuracy": accuracy / 100,
        "transition_accuracy": states / 100,
    }


FINE_TUNE = Recipe(steps=300, batch=16, lr=3e-4, warmup=0.1, decay=0.6, commitment=0.25, distill=True, save_every=100)
TOKFSM = Comparison(
    "tokfsm",
    "a finite-state machine of 100 states: the paper's Table 1",
    Machine().settings,
    Shape(),
    (
        Row(
            "tokfsm-base",
            "TokFSM, 100 states: the transformer without codebooks",
            (),
            Recipe(steps=3000, batch=32, lr=2e-3, warmup=0.05, decay=0.6),
            _machine_paper("no codebook", 1.179, 46.36, 96.77),
        ),
        Row(
            "tokfsm-attn-mlp-k1",
            "TokFSM, 100 states: codebooks on every head and MLP, k = 1",
            (Placement("attn", codes=512), Placement("mlp", codes=4000)),
            FINE_TUNE,
            _machine_paper("attention + MLP, k = 1, C = 10,000", 1.269, 45.27, 63.65),
            demo=1,
        ),
        Row(
            "tokfsm-attn-k1",
            "TokFSM, 100 states: codebooks on every attention head, k = 1",
            (Placement("attn", codes=512),),
            FINE_TUNE,
            _machine_paper("attention only, k = 1, C = 2,000", 1.18, 46.33, 96.39),
        ),
        Row(
            "tokfsm-attn-mlp-k4",
            "TokFSM, 100 states: codebooks on every head and MLP, k = 4",
            (Placement("attn", codes=512, k=4), Placement("mlp", codes=4000, k=4)),
            dataclasses.replace(FINE_TUNE, steps=900),
            _machine_paper("attention + MLP, k = 4, C = 20,000", 1.192, 46.20, 80.69),
        ),
    ),
)
SMALL = Comparison(
    "tokfsm-small",
    "a finite-state machine of 25 states, made in minutes",
    Machine(states=25, edges=4, length=64).settings,
    Shape(dim=64, mlp=256),
    (
        Row(
            "tokfsm-small-base",
            "TokFSM, 25 states: the transformer without codebooks",
            (),
            Recipe(steps=2000, batch=32, lr=3e-3, warmup=0.05, decay=0.6),
        ),
        Row(
            "tokfsm-small",
            "TokFSM, 25 states: codebooks on every head and MLP, k = 1",
            (Placement("attn", codes=128), Placement("mlp", codes=512)),
            FINE_TUNE,
            demo=8,
        ),
    ),
)


# -- texts -------------------------------------------------------------------------------------------------------------


def _text_paper(source: str, loss: float, accuracy: float) -> dict[str, Any]:
    return {"source": f"Tamkin et al., Table 2, {source}", "lm_loss": loss, "lm_accuracy": accuracy}


_BASE = Recipe(steps=1500, batch=16, lr=2e-3, warmup=0.05, decay=0.6)
_TUNED = dataclasses.replace(
    FINE_TUNE,
    steps=400,
    batch=8,
    lr=1e-3,
    decay=0.8,
    autoencoding=0.1,
    commitment=0.02,
    reset_every=25,
    save_every=50,
)
# where one code at a time stands for an MLP, the network drifts away from its codes: let it all but stand still
_HELD = dataclasses.replace(_TUNED, lr=3e-5, codebook_lr=30.0)
_ATTENTION = Placement("attn", codes=512, k=8, similarity="cosine")
_MLP = Placement("mlp", codes=2048, k=64, similarity="cosine")
_WORDS = Placement("mlp", layers=(0,), codes=1024)  # with attention beside it the first MLP sees one token alone
_LATER_MLPS = dataclasses.replace(_MLP, layers=(1, 2))
_TEXT_SHAPE = Shape("gpt_neox", layers=3, dim=192, heads=6, mlp=768)
_ATTENTION_TITLE = "codebooks on every attention head, k = 8"
_BOTH_TITLE = "codebooks on every head, k = 8, and MLP, k = 1 in the first layer, 64 in the others"
_MLP_TITLE = "codebooks on every MLP, k = 64"

_TINY_STORIES = "TinyStories, 1 layer, 21M parameters"
STORIES = Comparison(
    "stories",
    "generated stories: the paper's Table 2 with its TinyStories figures",
    {"name": "stories", "length": 256},
    _TEXT_SHAPE,
    (
        Row(
            "stories-base",
            "Stories: the transformer without codebooks",
            (),
            _BASE,
            _text_paper(f"{_TINY_STORIES}: fine-tuned", 1.57, 0.5927),
        ),
        Row(
            "stories-attn-k8",
            f"Stories: {_ATTENTION_TITLE}",
            (_ATTENTION,),
            _TUNED,
            _text_paper(f"{_TINY_STORIES}: attention, k = 8", 1.66, 0.5791),
            demo=4,
        ),
        Row(
            "stories-attn-mlp",
            f"Stories: {_BOTH_TITLE}",
            (_ATTENTION, _WORDS, _LATER_MLPS),
            _HELD,
        ),
        Row(
            "stories-mlp",
            f"Stories: {_MLP_TITLE}",
            (_MLP,),
            _TUNED,
            _text_paper(f"{_TINY_STORIES}: MLP, k = 100", 1.57, 0.5947),
            demo=2,
        ),
    ),
    vocabulary=2048,
)

_WIKITEXT = "WikiText-103, Pythia 410M"
PYTHON = Comparison(
    "python-source",
    "the sources of Python's standard library: the paper's Table 2 with its WikiText figures",
    {"name": "python-source", "length": 256},
    _TEXT_SHAPE,
    (
        Row(
            "python-base",
            "Python's standard library: the transformer without codebooks",
            (),
            dataclasses.replace(_BASE, steps=1100, save_every=100),
            _text_paper(f"{_WIKITEXT}: fine-tuned", 2.41, 0.5052),
        ),
        Row(
            "python-attn-k8",
            f"Python's standard library: {_ATTENTION_TITLE}",
            (_ATTENTION,),
            _TUNED,
            _text_paper(f"{_WIKITEXT}: attention, k = 8", 2.74, 0.4668),
            demo=9,
        ),
        Row(
            "python-attn-mlp",
            f"Python's standard library: {_BOTH_TITLE}",
            (_ATTENTION, _WORDS, _LATER_MLPS),
            _HELD,
        ),
        Row(
            "python-mlp",
            f"Python's standard library: {_MLP_TITLE}",
            (dataclasses.replace(_MLP, layers=(0,), codes=3584), dataclasses.replace(_MLP, layers=(1, 2), codes=4096)),
            # these MLPs diverged with the gradient straight through (after 100 steps at 1e-3, after 150 at 3e-4)
            dataclasses.replace(
                _TUNED,
                steps=3000,
                codebook_lr=5.0,
                warmup=0.02,
                autoencoding=0.0,
                commitment=0.0,
                straight_through=False,
                reset_every=0,
            ),
            _text_paper(f"{_WIKITEXT}: MLP, k = 100", 3.03, 0.4247),
            demo=6,
        ),
    ),
    vocabulary=2048,
)
COMPARISONS = (TOKFSM, SMALL, STORIES, PYTHON)


def table_of(comparison: Comparison) -> Table:
    """Return what `reproduce` sees of a comparison."""

    def make(request: Reproduction) -> Iterator[Record]:
        from backend.families.transformer.training.comparison import make_comparison

        return make_comparison(comparison.quick() if request.fast else comparison, request)

    return Table(comparison.about, tuple(row.model for row in comparison.rows), make)


TABLES = {comparison.name: table_of(comparison) for comparison in COMPARISONS}
