"""From a plan to models of the catalog.

1. The run's folder is made, its tokenizer trained or taken from the model that the codebooks go into.
2. Without such a model the one below is trained first, and kept as a model of its own.
3. Codebooks are put in and fine-tuned.
4. Checkpoint and catalog entry are written. Everything that a stopped run needs to go on stays in its folder until then.
"""

from __future__ import annotations

import dataclasses
import json
import shutil
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from accelerate import PartialState

from backend import catalog
from backend.analysis.seeds import HELD_OUT_SEED
from backend.catalog.cards import Card
from backend.data.datasets import open_corpus, open_text
from backend.errors import BadInput
from backend.families.transformer.checkpoint import save_checkpoint, tokenizer_in
from backend.families.transformer.plan import TransformerPlan
from backend.families.transformer.training import work
from backend.families.transformer.training.batches import Batches, batches_of
from backend.families.transformer.training.recipe import Recipe
from backend.families.transformer.training.runs import train_base, train_codebooks
from backend.families.transformer.training.tokenizing import make_tokenizer
from backend.files import write_atomically
from backend.nn.insertion.model import CodebookTransformer
from backend.train.recipes import check_free, folder_of, tell_notes
from backend.train.runs import Run
from backend.train.stages import Stages
from backend.train.states import read_log
from backend.types import ModelSpec, Progress


def make_models(plan: TransformerPlan, stages: Stages) -> Mapping[str, Any]:
    """Train what a plan says into the catalog; returns `training` of the card. See `backend.train.recipes.Recipe`."""
    began = time.monotonic()
    processes = PartialState(cpu=plan.run.device == "cpu")
    folder = folder_of(plan)
    with processes.main_process_first():
        if processes.is_main_process:
            _prepare(plan, folder, stages)
    batches = _batches(plan, folder, stages)
    if plan.base_recipe is not None:
        _make_base(plan, plan.base_recipe, folder, batches, stages, processes.is_main_process)
        processes.wait_for_everyone()
    run = _run(plan, folder, "model.state", "log.jsonl")
    run = dataclasses.replace(run, stages=stages)
    if plan.placements:
        base = catalog.checkpoint_folder(catalog.find(plan.origin, plan.run.data_dir), plan.run.data_dir)
        model = train_codebooks(base, batches, plan.placements, plan.recipe, plan.first_codes, run)
    else:
        model = _plain_model(plan, plan.recipe, batches, run)
    training = {
        "options": plan.run.identity,
        "seconds": round(time.monotonic() - began, 1),
        "steps": plan.steps,
        "log": read_log(run.log),
    }
    if processes.is_main_process:
        _keep(model, plan.spec(plan.name, plan.placements, plan.origin), plan, training)
    return training


def _run(plan: TransformerPlan, folder: Path, state: str, log: str) -> Run:
    run = plan.run
    return Run(run.seed, run.device, folder / state, run.resume, log=folder / log)


def _keep(model: CodebookTransformer, spec: ModelSpec, plan: TransformerPlan, training: Mapping[str, Any]) -> None:
    """Write checkpoint and catalog entry."""
    folder = catalog.inside(plan.run.data_dir, spec.checkpoint)
    save_checkpoint(model.to("cpu"), folder, Card(training=training), tokenizer_in(folder_of(plan)))
    catalog.write_spec(spec, plan.run.data_dir)


# -- before anything is trained ------------------------------------------------------------------------------------------


def _prepare(plan: TransformerPlan, folder: Path, stages: Stages) -> None:
    """Make the run's folder, tokenizer included, or check that it is the same run that is to go on."""
    file = folder / "options.json"
    if plan.run.resume and file.exists():
        _check_same(plan, json.loads(file.read_text(encoding="utf-8")))
        return
    check_free([plan.name, *([plan.origin] if plan.base_recipe else [])], plan.run)
    if plan.source.corpus is not None:
        _look_at(plan, stages.stage(work.TEXT))
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    if plan.vocabulary:
        make_tokenizer(plan.dataset, plan.vocabulary, folder, stages.stage(work.TEXT))
    elif plan.origin and plan.base_recipe is None:
        origin = catalog.checkpoint_folder(catalog.find(plan.origin, plan.run.data_dir), plan.run.data_dir)
        for name, content in tokenizer_in(origin).items():
            (folder / name).write_bytes(content)
    write_atomically(file, json.dumps(plan.run.identity, indent=1) + "\n")


def _check_same(plan: TransformerPlan, before: Mapping[str, Any]) -> None:
    now = plan.run.identity
    changed = sorted(key for key in before.keys() | now.keys() if before.get(key) != now.get(key))
    if changed:
        difference = ", ".join(f"{key} was {before.get(key)}, is {now.get(key)}" for key in changed)
        raise BadInput(
            f"The run of {plan.name!r} had other options: {difference}. Repeat them, or start again without --resume."
        )


def _look_at(plan: TransformerPlan, progress: Progress) -> None:
    """Say what a person should know of their text, and check that what is measured at the end is there at the beginning.

    Raises:
        BadInput: the text is a single document, or copies of one, and it is to be measured.
    """
    progress("looking for documents in the text", 0, 0)
    tell_notes(plan.dataset, progress)
    if not plan.run.seeds:
        return
    corpus = open_corpus(plan.dataset)
    if corpus.count(HELD_OUT_SEED) != 0:
        return
    copies = corpus.count(0)
    what, remedy = (
        ("is a single document", "Cut it with --split lines or paragraphs, give more text")
        if copies == 1
        else (f"is {copies:,} copies of the same document", "Give text that differs")
    )
    raise BadInput(
        f"{plan.dataset.get('path', plan.source.about)} {what}, so nothing of it can be held out to measure on. {remedy}, or "
        "leave measuring out with --evaluate 0."
    )


# -- training ------------------------------------------------------------------------------------------------------------


def _batches(plan: TransformerPlan, folder: Path, stages: Stages) -> Batches:
    """Return what both models are trained on: a corpus is read once, here, so that it has a bar of its own."""
    batches = batches_of(open_text(plan.dataset, folder), plan.length)
    if plan.source.corpus is not None:
        batches.prepare(stages.stage(work.CORPUS))
    return batches


def _make_base(
    plan: TransformerPlan, recipe: Recipe, folder: Path, batches: Batches, stages: Stages, main_process: bool
) -> None:
    """Train the model below and keep it, unless an earlier run has."""
    finished = folder / "base.finished"
    if finished.exists():
        return
    progress = stages.stage(work.BASE)
    run = dataclasses.replace(
        _run(plan, folder, "base.state", "base.jsonl"),
        progress=lambda what, done, total: progress(f"model below: {what}", done, total),
    )
    model = _plain_model(plan, recipe, batches, run)
    if main_process:
        training = {"options": plan.run.identity, "steps": recipe.steps, "log": read_log(run.log)}
        _keep(model, plan.spec(plan.origin, ()), plan, training)
        finished.touch()


def _plain_model(plan: TransformerPlan, recipe: Recipe, batches: Batches, run: Run) -> CodebookTransformer:
    assert plan.shape is not None
    config = plan.shape.config(batches.vocabulary, plan.length, batches.bos)
    return train_base(config, batches, recipe, run)
