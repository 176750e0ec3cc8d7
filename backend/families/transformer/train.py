"""What `train` offers of codebook transformers: one recipe a data set of text that can be learnt from. Nothing heavy here.

A model is trained as it is first (NAME-base, unless `--from` names one) and kept as a model of its own; then codebooks are put
into it, filled by k-means, and the whole is fine-tuned. What a run does is worked out in `plan`, done in `training.models`.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from backend.cli import counting, positive
from backend.data.datasets import sources
from backend.data.source import DataSource
from backend.families.transformer.plan import VOCABULARY, Defaults, TransformerPlan, defaults_of, make_plan
from backend.families.transformer.training.shapes import BACKBONES
from backend.train.recipes import Recipe, add_model_options, add_run_options, add_source_options
from backend.train.stages import Stages

_PLACES = """\
places: attn (attention before its output projection, a codebook for each head), attn_out (behind it), mlp,
mlp_mid (between its two matrices), attn_plus_mlp (their sum), block (a layer's output), qkv"""
_EXAMPLES = (
    "train tokfsm --places attn+mlp --k 1 --codes 1000",
    "train tokfsm --places none --states 25 --edges 4 --steps 500 --name small-base",
    "train tokfsm --places mlp --from small-base --codes 200 --steps 300 --name small-mlp",
    "train tokfsm --states 7 --edges 3 --base 2 --places attn+mlp --codes 64 --name binary",
    "train stories --places attn --k 8",
    "train python-source --places attn --k 8",
    "train text --text my-novel.txt --places attn --k 8 --name mine",
    "train text --text my-novel.txt --from a-model-i-imported --places mlp --k 64 --name theirs-mlp",
)


_BY_HEART = (
    "The loss above the base is below zero: the base has learnt its texts by heart and does worse on others than with codes. "
    "Give it more text, or fewer --base-steps."
)


def _add_options(source: DataSource, parser: argparse.ArgumentParser) -> None:
    defaults = defaults_of(source)
    add_model_options(parser, "")
    _add_codebooks(parser.add_argument_group("codebooks", _PLACES), defaults)
    _add_shape(parser.add_argument_group("model below the codebooks (with --from: the base's own)"), defaults)
    training = parser.add_argument_group("training")
    _add_training(training, defaults)
    add_run_options(training)
    data = parser.add_argument_group(
        "machine (with --from: that of the base)" if "states" in source.capabilities else "text"
    )
    add_source_options(data, source.options)
    if source.corpus is not None:
        data.add_argument(
            "--vocabulary",
            type=positive,
            metavar="V",
            help=f"tokens of the tokenizer that is trained; not with --from ({VOCABULARY})",
        )


def _add_codebooks(group: argparse._ArgumentGroup, defaults: Defaults) -> None:
    group.add_argument("--places", default="attn+mlp", help="none, or places joined by '+' (attn+mlp)")
    group.add_argument("--k", default="1", help="codes chosen at each position; one number, or one a place: 8+1 (1)")
    codes = f"{defaults.codes['attn']} at attn, else {defaults.codes['mlp']}"
    group.add_argument(
        "--codes", metavar="C", help=f"codes of each codebook; one number, or one a place: 512+4000 ({codes})"
    )
    group.add_argument(
        "--similarity",
        choices=("euclidean", "cosine", "inner_product"),
        help=f"how codes are chosen ({defaults.similarity})",
    )
    group.add_argument("--combine", default="mean", choices=("mean", "sum"), help="of the k codes (mean)")
    group.add_argument("--layer-norm", action="store_true", help="a LayerNorm in front of each codebook")
    group.add_argument("--init", default="kmeans", choices=("kmeans", "data", "random"), help="first codes (kmeans)")


def _add_shape(group: argparse._ArgumentGroup, defaults: Defaults) -> None:
    shape = defaults.shape
    group.add_argument("--from", dest="origin", metavar="MODEL", help="put the codebooks into this trained model")
    group.add_argument("--backbone", choices=BACKBONES, help=f"kind of transformer ({shape.backbone})")
    group.add_argument("--layers", type=positive, help=f"decoder layers ({shape.layers})")
    group.add_argument("--dim", type=positive, help=f"width ({shape.dim})")
    group.add_argument("--heads", type=positive, help=f"attention heads ({shape.heads})")
    group.add_argument("--mlp", type=positive, help="width of the feed-forward activation (four times --dim)")


def _add_training(group: argparse._ArgumentGroup, defaults: Defaults) -> None:
    base, tuned = defaults.base, defaults.tuned
    group.add_argument("--steps", type=counting, help=f"steps ({tuned.steps} with codebooks, {base.steps} without)")
    group.add_argument("--base-steps", type=counting, help=f"steps of the model below, without --from ({base.steps})")
    group.add_argument(
        "--batch", type=positive, help=f"sequences a step ({tuned.batch} with codebooks, {base.batch} without)"
    )
    group.add_argument(
        "--no-distill",
        action="store_true",
        help="fine-tune on the data's own tokens, not on the next-token distribution of the model below",
    )
    group.add_argument(
        "--lr", type=float, help=f"peak learning rate ({tuned.lr:g} with codebooks, {base.lr:g} without)"
    )
    group.add_argument("--base-lr", type=float, help=f"of the model below, without --from ({base.lr:g})")
    group.add_argument(
        "--commitment", type=float, help=f"weight of the loss that pulls activations to codes ({tuned.commitment:g})"
    )
    group.add_argument(
        "--reset-every", type=counting, default=0, help="steps between restarts of dead codes; 0 never (0)"
    )


def _work(plan: TransformerPlan) -> Mapping[str, float]:
    from backend.families.transformer.training.work import work_of

    return work_of(plan)


def _train(plan: TransformerPlan, stages: Stages) -> Mapping[str, Any]:
    from backend.families.transformer.training.models import make_models

    return make_models(plan, stages)


def _remarks(metrics: Mapping[str, Mapping[str, Any]]) -> Sequence[str]:
    return [_BY_HEART] if metrics.get("lm_loss_above_base", {}).get("value", 0.0) < 0 else []


RECIPES = tuple(
    Recipe(
        source.name,
        source.about,
        f"Train on {source.about}.",
        tuple(example for example in _EXAMPLES if example.startswith(f"train {source.name} ")),
        partial(_add_options, source),
        make_plan,
        _work,
        _train,
        _remarks,
    )
    for source in sources("text")
    if source.learnable
)
