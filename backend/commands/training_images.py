"""`train scenes`, `train photos`, ...: an image tokenizer by any of the methods, with the same network and schedule.

1. Pictures are drawn once and kept under `<data_dir>/training/pools/`.
2. Everything that `--resume` needs is under `<data_dir>/training/NAME/` until the run is finished.
3. Checkpoint and catalog entry are written, then measured numbers are added to the model card.
"""

from __future__ import annotations

import argparse
import shutil
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from backend.cli import (
    Answer,
    Progress,
    add_device,
    chosen_device,
    counting,
    given_path,
    metric_table,
    next_step,
    positive,
)

if TYPE_CHECKING:
    from backend.families.image_tokenizer.training.recipe import TokenizerRecipe

RECIPES = {
    "scenes": "drawn scenes with known content",
    "photos": "crops of the photos that come with scikit-image and scikit-learn",
    "digits": "scikit-learn's handwritten digits",
    "mixture": "scenes and photos, seven to three",
    "folder": "your own pictures: --images FOLDER",
}
_MIXTURE = [{"name": "scenes", "share": 0.7}, {"name": "photos", "share": 0.3}]


def add_options(parser: argparse.ArgumentParser) -> None:
    """The options of one recipe of `RECIPES`."""
    from backend.families.image_tokenizer.training.recipe import METHODS

    parser.add_argument("--name", help="name of the new model (made from the options, e.g. scenes-fvq-4096)")
    parser.add_argument(
        "--resume", action="store_true", help="go on with a run that was stopped, from its last saved state"
    )
    parser.add_argument("--overwrite", action="store_true", help="replace a model of that name")
    codes = parser.add_argument_group("codes")
    codes.add_argument("--method", choices=METHODS, default="fvq", help="how the table is produced (fvq)")
    codes.add_argument(
        "--codes", type=positive, default=4096, metavar="K", help="of each table; a perfect square for fvq (4096)"
    )
    codes.add_argument("--dim", type=counting, default=0, help="length of a code (16; 8 for fc)")
    codes.add_argument("--levels", type=positive, help="rvq: tables, each for what the ones before leave (4)")
    codes.add_argument(
        "--features",
        type=given_path,
        metavar="WHICH",
        help="lc: autoencoder (trained here), random, or a .npy file of your own [at least K, any] (autoencoder)",
    )
    codes.add_argument("--no-projector", action="store_true", help="lc: the frozen features are the codes")
    codes.add_argument("--no-zero-init", action="store_true", help="fvq: start the bridge's last layer at random")
    pictures = parser.add_argument_group("pictures")
    pictures.add_argument("--data-set", choices=tuple(RECIPES), help="other pictures than the recipe's name says")
    pictures.add_argument(
        "--images", type=given_path, metavar="FOLDER", help="your own: a folder, a picture or a Parquet file"
    )
    pictures.add_argument("--size", type=positive, default=32, metavar="PIXELS", help="one side (32)")
    pictures.add_argument("--pool", type=positive, default=20_000, metavar="N", help="drawn to train on (20000)")
    how = parser.add_argument_group("network and training")
    how.add_argument("--width", type=positive, default=32, help="channels at half the resolution (32)")
    how.add_argument("--blocks", type=positive, default=1, help="residual blocks at each resolution (1)")
    how.add_argument("--downsampling", type=positive, default=4, metavar="F", help="pixels a side of a cell (4)")
    how.add_argument("--steps", type=positive, default=2000, help="steps (2000)")
    how.add_argument("--batch", type=positive, default=32, help="pictures a step (32)")
    how.add_argument("--lr", type=float, default=1e-3, help="peak learning rate (1e-3)")
    how.add_argument("--no-annealing", action="store_true", help="hold the learning rate to the end")
    how.add_argument("--half", action="store_true", help="keep the networks in half precision")
    how.add_argument("--seed", type=counting, default=0, help="of everything random in training (0)")
    add_device(how)
    how.add_argument(
        "--evaluate", type=counting, default=1, metavar="N", help="measure with N seeds at the end; 0 not (1)"
    )


def run(options: argparse.Namespace, progress: Progress) -> Answer:
    """Train, keep, measure."""
    from backend import catalog
    from backend.build.lock import training_alone

    options.device = chosen_device(options.device)
    recipe = recipe_of(options)
    name = catalog.check_name(recipe.model if options.name is None else options.name)
    work = catalog.inside(options.data_dir, Path("training") / name)
    with training_alone(work, name):
        return _run(options, recipe, name, work, progress)


def _run(options: argparse.Namespace, recipe: TokenizerRecipe, name: str, work: Path, progress: Progress) -> Answer:
    from backend import catalog
    from backend.catalog.cards import Card, write_card
    from backend.commands.making import measured
    from backend.errors import BadInput
    from backend.families.image_tokenizer.training.tokenizer_models import (
        make_tokenizer_model,
        tokenizer_spec,
        trained_with,
    )
    from backend.train.runs import Run

    spec = tokenizer_spec(name, recipe, {})
    same = trained_with(spec, recipe, options.seed, options.data_dir, half=options.half) is not None
    measure_only = options.resume and same  # it was stopped while it was measured
    if name in catalog.models(options.data_dir) and not options.overwrite and not measure_only:
        raise BadInput(f"There is a model {name!r} already. Give another with --name, or --overwrite to replace it.")
    if not options.resume:
        shutil.rmtree(work, ignore_errors=True)
    began = time.monotonic()
    settings = Run(options.seed, options.device, resume=options.resume, progress=progress)
    training = make_tokenizer_model(spec, recipe, settings, options.data_dir, half=options.half, again=not measure_only)
    folder = catalog.inside(options.data_dir, spec.checkpoint)
    metrics: dict[str, Any] = {}
    if options.evaluate:
        metrics = measured(name, options.data_dir, options.evaluate, None, options.device, progress)
        write_card(folder, Card(metrics, training))
    seconds = time.monotonic() - began
    data = {
        "model": name,
        "checkpoint": str(folder),
        "steps": recipe.steps,
        "seconds": round(seconds, 2),
        "metrics": metrics,
    }
    lines = [f"Trained {name} in {seconds:.0f} s; it is in {folder}."]
    if metrics:
        lines.append(metric_table({key: metric for key, metric in metrics.items() if "." not in key}))
    return Answer(data, "\n".join([*lines, next_step(f"build {name}", options.data_dir)]))


def recipe_of(options: argparse.Namespace) -> TokenizerRecipe:
    """What the options ask for.

    Raises:
        UsageError: options that do not go together, or sizes that a method cannot have.
    """
    from backend.errors import UsageError
    from backend.families.image_tokenizer.training.recipe import TokenizerRecipe
    from backend.nn.bridge import codes_a_token

    if options.images and options.data_set not in (None, "folder"):
        raise UsageError(f"--images and --data-set {options.data_set} name different pictures. Leave one out.")
    source = "folder" if options.images else options.data_set or options.recipe
    dataset: dict[str, Any] = {"name": source, "size": options.size}
    if source == "folder":
        if not options.images:
            raise UsageError("Which pictures? Give --images FOLDER.")
        dataset["path"] = str(Path(options.images).expanduser().resolve())
    elif source == "mixture":
        dataset["parts"] = _MIXTURE
    settings: dict[str, Any] = {}
    for given, method in (("no_projector", "lc"), ("no_zero_init", "fvq"), ("features", "lc"), ("levels", "rvq")):
        if getattr(options, given) and options.method != method:
            raise UsageError(f"--{given.replace('_', '-')} is for --method {method}, not {options.method}.")
    if options.no_projector:
        settings["projector"] = False
    if options.no_zero_init:
        settings["zero"] = False
    if options.size % options.downsampling:
        raise UsageError(f"Pictures of {options.size} pixels cannot be cut into cells of {options.downsampling}.")
    if options.method == "fvq":
        codes_a_token(options.codes)  # a perfect square
    recipe = TokenizerRecipe(
        dataset,
        options.method,
        options.codes,
        options.dim,
        options.levels or TokenizerRecipe.levels,
        options.steps,
        options.batch,
        options.lr,
        not options.no_annealing,
        width=options.width,
        blocks=options.blocks,
        downsampling=options.downsampling,
        pool=options.pool,
        features=options.features or TokenizerRecipe.features,
        settings=settings,
    )
    assert recipe.network  # sizes that make no network are refused before anything is drawn
    return recipe
