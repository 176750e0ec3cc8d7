"""Training from nothing or from a base: `train`.

1. The options say which machine, which model below, which codebooks, which recipe (`plans`).
2. Without `--from` the model below is trained first and kept as a model of its own, `NAME-base`.
3. Everything that `--resume` needs is under `<data_dir>/training/NAME/` until the run is finished.
4. Checkpoint and catalog entry are written, then measured numbers are added to the model card.
"""

from __future__ import annotations

import argparse
import json
import shutil
import time
from typing import TYPE_CHECKING, Any

from backend.commands.command import Answer, Command, Progress, counting, metric_table, positive
from backend.commands.plans import Plan, make_plan

if TYPE_CHECKING:
    from backend.nn.placement import Placement
    from backend.types import ModelSpec

RECIPES = ("tokfsm",)
_NOT_PART_OF_THE_RUN = {"data_dir", "json", "progress", "command", "resume", "overwrite", "device", "evaluate"}


def _options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "recipe", metavar="RECIPE", choices=RECIPES, help="what to train on: tokfsm, finite-state machines"
    )
    parser.add_argument("--name", help="name of the new model (made from the options)")
    parser.add_argument(
        "--resume", action="store_true", help="go on with a run that was stopped, from its last saved state"
    )
    parser.add_argument("--overwrite", action="store_true", help="replace a model of that name")
    codes = parser.add_argument_group("codebooks")
    codes.add_argument(
        "--places", default="attn+mlp", help="none, or places joined by '+': attn, mlp, block, ... (attn+mlp)"
    )
    codes.add_argument("--k", default="1", help="codes chosen at each position; one number, or one a place: 8+1 (1)")
    codes.add_argument(
        "--codes",
        metavar="C",
        help="codes of each codebook; one number, or one a place: 512+4000 (512 at attn, else 4000)",
    )
    codes.add_argument("--similarity", default="euclidean", choices=("euclidean", "cosine", "inner_product"))
    codes.add_argument("--combine", default="mean", choices=("mean", "sum"), help="of the k codes (mean)")
    codes.add_argument("--layer-norm", action="store_true", help="a LayerNorm in front of each codebook")
    codes.add_argument("--init", default="kmeans", choices=("kmeans", "data", "random"), help="first codes (kmeans)")
    machine = parser.add_argument_group("machine (with --from: that of the base)")
    machine.add_argument("--states", type=positive, metavar="N", help="states (100)")
    machine.add_argument("--edges", type=positive, metavar="E", help="successors of each state (10)")
    machine.add_argument("--base-digits", type=positive, dest="base", metavar="B", help="base of the digits (10)")
    machine.add_argument("--machine-seed", type=counting, metavar="S", help="of the transitions (42)")
    machine.add_argument("--length", type=positive, help="tokens of an item (128)")
    shape = parser.add_argument_group("model below the codebooks (with --from: the base's own)")
    shape.add_argument("--from", dest="origin", metavar="MODEL", help="put the codebooks into this trained model")
    shape.add_argument("--backbone", choices=("gpt2", "gpt_neox"), help="kind of transformer (gpt2)")
    shape.add_argument("--layers", type=positive, help="decoder layers (2)")
    shape.add_argument("--dim", type=positive, help="width (128)")
    shape.add_argument("--heads", type=positive, help="attention heads (4)")
    shape.add_argument("--mlp", type=positive, help="width of the feed-forward activation (512)")
    how = parser.add_argument_group("training")
    how.add_argument("--steps", type=counting, help="steps (300 with codebooks, 3000 without)")
    how.add_argument(
        "--base-steps", type=counting, default=3000, help="steps of the model below, without --from (3000)"
    )
    how.add_argument("--batch", type=positive, help="sequences a step (16 with codebooks, 32 without)")
    how.add_argument(
        "--no-distill",
        action="store_true",
        help="fine-tune on sampled tokens, not on the next-token distribution of the model below",
    )
    how.add_argument("--lr", type=float, help="peak learning rate (3e-4 with codebooks, 2e-3 without)")
    how.add_argument("--base-lr", type=float, default=2e-3, help="of the model below, without --from (2e-3)")
    how.add_argument(
        "--commitment", type=float, default=0.25, help="weight of the loss that pulls activations to codes (0.25)"
    )
    how.add_argument(
        "--reset-every", type=counting, default=0, help="steps between restarts of dead codes; 0 never (0)"
    )
    how.add_argument("--seed", type=counting, default=0, help="of everything random in training (0)")
    how.add_argument("--device", default="auto", choices=("auto", "cpu", "cuda"), help="a GPU if there is one (auto)")
    how.add_argument(
        "--evaluate", type=counting, default=1, metavar="N", help="measure with N seeds at the end; 0 not (1)"
    )


def _train(options: argparse.Namespace, progress: Progress) -> Answer:
    from accelerate import PartialState

    from backend import catalog

    plan = make_plan(options)
    state = PartialState(cpu=options.device == "cpu")
    began = time.monotonic()
    with state.main_process_first():
        if state.is_main_process:
            _prepare(plan, options)
    if plan.base_recipe is not None:
        _train_base(plan, options, progress, state.is_main_process)
        state.wait_for_everyone()
    model, loss = _train_model(plan, options, progress)
    spec = _spec(plan)
    checkpoint = catalog.inside(options.data_dir, spec.checkpoint)
    seconds = time.monotonic() - began
    if not state.is_main_process:
        return Answer({}, "")
    training = {"options": _identity(options), "seconds": round(seconds, 1), "steps": plan.recipe.steps, "loss": loss}
    metrics = _keep(model, spec, options, training, progress)
    shutil.rmtree(plan.folder, ignore_errors=True)
    data = {
        "model": plan.name,
        "checkpoint": str(checkpoint),
        "steps": plan.recipe.steps,
        "seconds": round(seconds, 2),
        "metrics": metrics,
    }
    lines = [f"Trained {plan.name} in {seconds:.0f} s; it is in {checkpoint}."]
    if metrics:
        lines.append(metric_table({name: m for name, m in metrics.items() if "." not in name}))
    return Answer(data, "\n".join([*lines, f"Next: python -m backend build {plan.name}"]))


def _keep(
    model: Any, spec: ModelSpec, options: argparse.Namespace, training: dict[str, Any], progress: Progress
) -> dict[str, Any]:
    """Write checkpoint, catalog entry and, if asked for, what is measured; returns the metrics."""
    from backend import catalog
    from backend.commands.making import measured
    from backend.families.checkpoint import save_checkpoint, write_card

    folder = catalog.inside(options.data_dir, spec.checkpoint)
    save_checkpoint(model.to("cpu"), folder, {"metrics": {}, "training": training})
    catalog.write_spec(spec, options.data_dir)
    if not options.evaluate:
        return {}
    metrics = measured(spec.name, options.data_dir, options.evaluate, None, options.device, progress)
    write_card(folder, {"metrics": metrics, "training": training})
    return metrics


# -- doing it ------------------------------------------------------------------------------------------------------


def _identity(options: argparse.Namespace) -> dict[str, Any]:
    """The options that make the run what it is."""
    return {key: value for key, value in sorted(vars(options).items()) if key not in _NOT_PART_OF_THE_RUN}


def _prepare(plan: Plan, options: argparse.Namespace) -> None:
    """Make the run's folder, or check that it is the same run that is to go on."""
    from backend import catalog
    from backend.errors import BadInput

    file = plan.folder / "options.json"
    if options.resume and file.exists():
        before, now = json.loads(file.read_text(encoding="utf-8")), _identity(options)
        changed = sorted(key for key in before.keys() | now.keys() if before.get(key) != now.get(key))
        if changed:
            told = ", ".join(f"{key} was {before.get(key)}, is {now.get(key)}" for key in changed)
            raise BadInput(
                f"The run of {plan.name!r} had other options: {told}. Repeat them, or start again without --resume."
            )
        return
    known = catalog.models(options.data_dir)
    taken = [name for name in (plan.name, plan.origin if plan.base_recipe else "") if name in known]
    if taken and not options.overwrite:
        raise BadInput(
            f"There is a model {taken[0]!r} already. Give another with --name, or --overwrite to replace it."
        )
    shutil.rmtree(plan.folder, ignore_errors=True)
    plan.folder.mkdir(parents=True)
    file.write_text(json.dumps(_identity(options), indent=1) + "\n", encoding="utf-8")


def _train_base(plan: Plan, options: argparse.Namespace, progress: Progress, main: bool) -> None:
    from backend import catalog
    from backend.families.checkpoint import save_checkpoint
    from backend.train.tokfsm import train_base
    from backend.types import ModelSpec

    assert plan.base_recipe is not None and plan.shape is not None
    finished = plan.folder / "base.finished"
    if finished.exists():
        return
    model = train_base(
        plan.machine,
        plan.shape,
        plan.base_recipe,
        seed=plan.seed,
        device=plan.device,
        state=plan.folder / "base.state",
        resume=options.resume,
        progress=lambda what, done, total: progress(f"model below: {what}", done, total),
        log=plan.folder / "base.jsonl",
    )
    if main:
        spec = ModelSpec(
            plan.origin, "transformer", "text", _title(plan, ()), plan.machine.settings, f"checkpoints/{plan.origin}"
        )
        training = {"options": _identity(options), "steps": plan.base_recipe.steps}
        folder = catalog.inside(options.data_dir, spec.checkpoint)
        save_checkpoint(model.to("cpu"), folder, {"metrics": {}, "training": training})
        catalog.write_spec(spec, options.data_dir)
        finished.touch()


def _train_model(plan: Plan, options: argparse.Namespace, progress: Progress) -> tuple[Any, float | None]:
    """The trained model, and the last training loss that was logged."""
    from backend import catalog
    from backend.train.tokfsm import train_base, train_codebooks

    log = plan.folder / "log.jsonl"
    settings: dict[str, Any] = {
        "seed": plan.seed,
        "device": plan.device,
        "state": plan.folder / "model.state",
        "resume": options.resume,
        "progress": progress,
        "log": log,
    }
    if plan.placements:
        origin = catalog.find(plan.origin, options.data_dir)
        base = catalog.checkpoint_folder(origin, options.data_dir)
        model = train_codebooks(base, plan.machine, plan.placements, plan.recipe, how=plan.how, **settings)
    else:
        assert plan.shape is not None
        model = train_base(plan.machine, plan.shape, plan.recipe, **settings)
    lines = log.read_text(encoding="utf-8").splitlines() if log.exists() else []
    return model, json.loads(lines[-1])["loss"] if lines else None


def _spec(plan: Plan) -> ModelSpec:
    from backend.types import ModelSpec

    return ModelSpec(
        name=plan.name,
        family="transformer",
        kind="text",
        title=_title(plan, plan.placements),
        dataset=plan.machine.settings,
        checkpoint=f"checkpoints/{plan.name}",
        base=plan.origin,
    )


def _title(plan: Plan, placements: tuple[Placement, ...]) -> str:
    machine = f"Finite-state machine of {plan.machine.states} states, {plan.machine.edges} edges"
    what = ", ".join(f"{p.place} C={p.codes} k={p.k}" for p in placements)
    return f"{machine}; {what}" if what else f"{machine}; no codebooks"


TRAIN = Command(
    "train",
    "train a model, with progress, saved states and --resume",
    (
        "train tokfsm --places attn+mlp --k 1 --codes 1000",
        "train tokfsm --places none --states 25 --edges 4 --steps 500 --name small-base",
        "train tokfsm --places mlp --from small-base --codes 200 --steps 300 --name small-mlp",
    ),
    _options,
    _train,
)
