"""Training from nothing or from a base: `train`.

1. The options say which machine, which model below, which codebooks, which recipe (`plans`).
2. Without `--from` the model below is trained first and kept as a model of its own, `NAME-base`.
3. Everything that `--resume` needs is under `<data_dir>/training/NAME/` until the run is finished.
4. Checkpoint and catalog entry are written, then measured numbers are added to the model card.
"""

from __future__ import annotations

import argparse
import shutil
import time
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

from backend.cli import (
    Answer,
    Command,
    Progress,
    add_device,
    chosen_device,
    counting,
    everywhere,
    examples,
    metric_table,
    next_step,
    positive,
)
from backend.commands import training_images
from backend.commands.plans import KINDS, Kind, Plan, identity, make_plan, prepare

if TYPE_CHECKING:
    from backend.families.transformer.training.codebooks import Recipe
    from backend.nn.insertion.model import CodebookTransformer
    from backend.nn.insertion.placement import Placement
    from backend.train.runs import Run
    from backend.types import ModelSpec

BACKBONES = ("gpt2", "gpt_neox", "llama")
SPLITS = ("paragraphs", "lines", "files")

RECIPES = {
    "tokfsm": "a finite-state machine: states written as digits",
    "stories": "generated stories with known truth",
    "python-source": "the sources of Python's standard library, read from the running interpreter",
    "text": "a text of your own: --text FILE, DIR or hf:owner/name",
}
_PLACES = """\
places: attn (attention before its output projection, a codebook for each head), attn_out (behind it), mlp,
mlp_mid (between its two matrices), attn_plus_mlp (their sum), block (a layer's output), qkv"""
EXAMPLES = (
    "train tokfsm --places attn+mlp --k 1 --codes 1000",
    "train tokfsm --places none --states 25 --edges 4 --steps 500 --name small-base",
    "train tokfsm --places mlp --from small-base --codes 200 --steps 300 --name small-mlp",
    "train tokfsm --states 7 --edges 3 --base 2 --places attn+mlp --codes 64 --name binary",
    "train stories --places attn --k 8",
    "train python-source --places attn --k 8",
    "train text --text my-novel.txt --places attn --k 8 --name mine",
    "train text --text my-novel.txt --from a-model-i-imported --places mlp --k 64 --name theirs-mlp",
    "train scenes --method fvq --codes 4096",
    "train photos --method vq --codes 1024 --steps 500",
    "train digits --method vq --codes 64 --steps 300",
    "train mixture --method lc --codes 1024",
    "train folder --images my-pictures --method lc --codes 1024 --size 64 --name mine",
)


def _options(parser: argparse.ArgumentParser) -> None:
    recipes = parser.add_subparsers(metavar="RECIPE", required=True, dest="recipe")

    def own(name: str) -> list[str]:
        return [example for example in EXAMPLES if example.startswith(f"train {name} ")]

    for name, about in RECIPES.items():
        sub = recipes.add_parser(
            name,
            help=about,
            description=f"Train on {about}.",
            epilog=examples(own(name)),
            formatter_class=argparse.RawDescriptionHelpFormatter,
            parents=[everywhere(False)],
            allow_abbrev=False,
        )
        sub.set_defaults(run=_train)
        _model_options(sub, KINDS[name])
        if name == "tokfsm":
            _machine_options(sub)
        else:
            _text_options(sub, name)
    for name, about in training_images.RECIPES.items():
        sub = recipes.add_parser(
            name,
            help=f"an image tokenizer on {about}",
            description=f"Train an image tokenizer on {about}.",
            epilog=examples(own(name)),
            formatter_class=argparse.RawDescriptionHelpFormatter,
            parents=[everywhere(False)],
            allow_abbrev=False,
        )
        sub.set_defaults(run=training_images.run)
        training_images.add_options(sub)


def _model_options(parser: argparse.ArgumentParser, kind: Kind) -> None:
    parser.add_argument("--name", help="name of the new model (made from the options)")
    parser.add_argument(
        "--resume", action="store_true", help="go on with a run that was stopped, from its last saved state"
    )
    parser.add_argument("--overwrite", action="store_true", help="replace a model of that name")
    codes = parser.add_argument_group("codebooks", _PLACES)
    codes.add_argument("--places", default="attn+mlp", help="none, or places joined by '+' (attn+mlp)")
    codes.add_argument("--k", default="1", help="codes chosen at each position; one number, or one a place: 8+1 (1)")
    usual = f"{kind.codes['attn']} at attn, else {kind.codes['mlp']}"
    codes.add_argument(
        "--codes", metavar="C", help=f"codes of each codebook; one number, or one a place: 512+4000 ({usual})"
    )
    codes.add_argument(
        "--similarity",
        choices=("euclidean", "cosine", "inner_product"),
        help=f"how codes are chosen ({kind.similarity})",
    )
    codes.add_argument("--combine", default="mean", choices=("mean", "sum"), help="of the k codes (mean)")
    codes.add_argument("--layer-norm", action="store_true", help="a LayerNorm in front of each codebook")
    codes.add_argument("--init", default="kmeans", choices=("kmeans", "data", "random"), help="first codes (kmeans)")
    size = kind.shape
    shape = parser.add_argument_group("model below the codebooks (with --from: the base's own)")
    shape.add_argument("--from", dest="origin", metavar="MODEL", help="put the codebooks into this trained model")
    shape.add_argument("--backbone", choices=BACKBONES, help=f"kind of transformer ({size['backbone']})")
    shape.add_argument("--layers", type=positive, help=f"decoder layers ({size['layers']})")
    shape.add_argument("--dim", type=positive, help=f"width ({size['dim']})")
    shape.add_argument("--heads", type=positive, help=f"attention heads ({size['heads']})")
    shape.add_argument("--mlp", type=positive, help="width of the feed-forward activation (four times --dim)")
    how = parser.add_argument_group("training")
    how.add_argument("--steps", type=counting, help=f"steps ({kind.steps} with codebooks, {kind.base_steps} without)")
    how.add_argument(
        "--base-steps", type=counting, help=f"steps of the model below, without --from ({kind.base_steps})"
    )
    how.add_argument(
        "--batch", type=positive, help=f"sequences a step ({kind.batch} with codebooks, {kind.base_batch} without)"
    )
    how.add_argument(
        "--no-distill",
        action="store_true",
        help="fine-tune on the data's own tokens, not on the next-token distribution of the model below",
    )
    how.add_argument(
        "--lr", type=float, help=f"peak learning rate ({kind.lr:g} with codebooks, {kind.base_lr:g} without)"
    )
    how.add_argument("--base-lr", type=float, help=f"of the model below, without --from ({kind.base_lr:g})")
    how.add_argument(
        "--commitment", type=float, help=f"weight of the loss that pulls activations to codes ({kind.commitment:g})"
    )
    how.add_argument(
        "--reset-every", type=counting, default=0, help="steps between restarts of dead codes; 0 never (0)"
    )
    how.add_argument("--seed", type=counting, default=0, help="of everything random in training (0)")
    add_device(how)
    how.add_argument(
        "--evaluate", type=counting, default=1, metavar="N", help="measure with N seeds at the end; 0 not (1)"
    )


def _machine_options(parser: argparse.ArgumentParser) -> None:
    machine = parser.add_argument_group("machine (with --from: that of the base)")
    machine.add_argument("--states", type=positive, metavar="N", help="states (100)")
    machine.add_argument("--edges", type=positive, metavar="E", help="successors of each state (10)")
    machine.add_argument(
        "--base", "--base-digits", type=positive, dest="digits_base", metavar="B", help="base of the digits (10)"
    )
    machine.add_argument("--machine-seed", type=counting, metavar="S", help="of the transitions (42)")
    machine.add_argument("--length", type=positive, help="tokens of an item (128)")


def _text_options(parser: argparse.ArgumentParser, recipe: str) -> None:
    text = parser.add_argument_group("text")
    if recipe == "text":
        text.add_argument(
            "--text",
            required=True,
            metavar="FILE|DIR|hf:NAME",
            help="txt, jsonl or parquet files, or a Hugging Face data set such as hf:roneneldan/TinyStories",
        )
        text.add_argument("--split", choices=SPLITS, help="what makes a document of a txt file (paragraphs)")
    text.add_argument("--length", type=positive, help="tokens of a row (256)")
    text.add_argument(
        "--vocabulary",
        type=positive,
        metavar="V",
        help="tokens of the tokenizer that is trained; not with --from (2048)",
    )


def _run(options: argparse.Namespace, progress: Progress) -> Answer:
    answer: Answer = options.run(options, progress)
    return answer


BY_HEART = (
    "The loss above the base is below zero: the base has learnt its texts by heart and does worse on others than with codes. "
    "Give it more text, or fewer --base-steps."
)


def _train(options: argparse.Namespace, progress: Progress) -> Answer:
    from accelerate import PartialState

    from backend.build.lock import training_alone

    options.device = chosen_device(options.device)
    plan = make_plan(options)
    state = PartialState(cpu=options.device == "cpu")
    with training_alone(plan.folder, plan.name) if state.is_main_process else nullcontext():
        return _finish(plan, options, state, progress)


def _finish(plan: Plan, options: argparse.Namespace, state: Any, progress: Progress) -> Answer:
    from backend import catalog

    began = time.monotonic()
    with state.main_process_first():
        if state.is_main_process:
            prepare(plan, options, progress)
    if plan.base_recipe is not None:
        _train_base(plan, options, progress, state.is_main_process)
        state.wait_for_everyone()
    model, log = _train_model(plan, options, progress)
    spec = _spec(plan)
    checkpoint = catalog.inside(options.data_dir, spec.checkpoint)
    seconds = time.monotonic() - began
    if not state.is_main_process:
        return Answer({}, "")
    training = {"options": identity(options), "seconds": round(seconds, 1), "steps": plan.recipe.steps, "log": log}
    metrics = _keep(model, spec, plan, options, training, progress)
    shutil.rmtree(plan.folder, ignore_errors=True)
    data = {"model": plan.name, "checkpoint": str(checkpoint), "steps": plan.recipe.steps}
    data |= {"seconds": round(seconds, 2), "metrics": metrics}
    lines = [f"Trained {plan.name} in {seconds:.0f} s; it is in {checkpoint}."]
    if metrics:
        lines.append(metric_table({name: m for name, m in metrics.items() if "." not in name}))
    if metrics.get("lm_loss_above_base", {}).get("value", 0.0) < 0:
        lines.append(BY_HEART)
    return Answer(data, "\n".join([*lines, next_step(f"build {plan.name}", options.data_dir)]))


def _keep(
    model: Any, spec: ModelSpec, plan: Plan, options: argparse.Namespace, training: dict[str, Any], progress: Progress
) -> dict[str, Any]:
    """Write checkpoint, catalog entry and, if asked for, what is measured; returns the metrics."""
    from backend import catalog
    from backend.catalog.cards import Card, write_card
    from backend.commands.making import measured
    from backend.families.transformer.checkpoint import save_checkpoint, tokenizer_in

    folder = catalog.inside(options.data_dir, spec.checkpoint)
    save_checkpoint(model.to("cpu"), folder, Card(training=training), tokenizer_in(plan.folder))
    catalog.write_spec(spec, options.data_dir)
    if not options.evaluate:
        return {}
    metrics = measured(spec.name, options.data_dir, options.evaluate, None, options.device, progress)
    write_card(folder, Card(metrics, training))
    return metrics


# -- doing it ------------------------------------------------------------------------------------------------------


def _train_base(plan: Plan, options: argparse.Namespace, progress: Progress, main: bool) -> None:
    from backend import catalog
    from backend.catalog.cards import Card
    from backend.families.transformer.checkpoint import save_checkpoint, tokenizer_in
    from backend.train.runs import Run
    from backend.train.states import read_log
    from backend.types import ModelSpec

    assert plan.base_recipe is not None
    finished = plan.folder / "base.finished"
    if finished.exists():
        return
    run = Run(
        seed=plan.seed,
        device=plan.device,
        state=plan.folder / "base.state",
        resume=options.resume,
        progress=lambda what, done, total: progress(f"model below: {what}", done, total),
        log=plan.folder / "base.jsonl",
    )
    model = _plain_model(plan, plan.base_recipe, run)
    if main:
        spec = ModelSpec(
            plan.origin, "transformer", "text", _title(plan, ()), plan.dataset, f"checkpoints/{plan.origin}"
        )
        training = {"options": identity(options), "steps": plan.base_recipe.steps, "log": read_log(run.log)}
        folder = catalog.inside(options.data_dir, spec.checkpoint)
        save_checkpoint(model.to("cpu"), folder, Card(training=training), tokenizer_in(plan.folder))
        catalog.write_spec(spec, options.data_dir)
        finished.touch()


def _plain_model(plan: Plan, recipe: Recipe, run: Run) -> CodebookTransformer:
    from backend.data.datasets import open_dataset
    from backend.families.transformer.training.batches import batches_of
    from backend.families.transformer.training.runs import train_base

    assert plan.shape is not None
    dataset = open_dataset(plan.dataset, plan.folder)
    length = int(plan.dataset["length"])
    config = plan.shape.config(dataset.vocabulary, length, dataset.bos)
    return train_base(config, batches_of(dataset, length, run.progress), recipe, run)


def _train_model(plan: Plan, options: argparse.Namespace, progress: Progress) -> tuple[Any, list[dict[str, Any]]]:
    """The trained model, and what was logged."""
    from backend import catalog
    from backend.data.datasets import open_dataset
    from backend.families.transformer.training.batches import batches_of
    from backend.families.transformer.training.runs import train_codebooks
    from backend.train.runs import Run
    from backend.train.states import read_log

    log = plan.folder / "log.jsonl"
    run = Run(plan.seed, plan.device, plan.folder / "model.state", options.resume, progress, log)
    if plan.placements:
        origin = catalog.find(plan.origin, options.data_dir)
        base = catalog.checkpoint_folder(origin, options.data_dir)
        batch = batches_of(open_dataset(plan.dataset, plan.folder), int(plan.dataset["length"]), progress)
        model = train_codebooks(base, batch, plan.placements, plan.recipe, plan.how, run)
    else:
        model = _plain_model(plan, plan.recipe, run)
    return model, read_log(log)


def _spec(plan: Plan) -> ModelSpec:
    from backend.types import ModelSpec

    return ModelSpec(
        name=plan.name,
        family="transformer",
        kind="text",
        title=_title(plan, plan.placements),
        dataset=plan.dataset,
        checkpoint=f"checkpoints/{plan.name}",
        base=plan.origin,
    )


def _title(plan: Plan, placements: tuple[Placement, ...]) -> str:
    data = plan.dataset
    subject = {
        "tokfsm": "Finite-state machine of {states} states, {edges} edges",
        "stories": "Generated stories",
        "python-source": "Python's standard library",
        "text": "Text of {path}",
    }[data["name"]].format_map({**data, "path": Path(str(data.get("path", ""))).name})
    what = ", ".join(f"{p.place} C={p.codes} k={p.k}" for p in placements)
    return f"{subject}; {what or 'no codebooks'}"


TRAIN = Command(
    "train",
    "train a model, with progress, saved states and --resume",
    EXAMPLES,
    _options,
    _run,
    """\
A language model is trained as it is first (NAME-base, unless --from names one), then codebooks are put into it, filled
by k-means, and the whole is fine-tuned. Stopped, even by kill -9, the same command with --resume goes on from its last
saved state. `python -m backend train RECIPE --help` has the options.""",
)
