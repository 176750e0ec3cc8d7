"""What a training run is to do, worked out of the options and checked before any work starts."""

from __future__ import annotations

import argparse
import dataclasses
import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from backend.data.machines import Machine
    from backend.families.transformer.training.codebooks import Recipe
    from backend.families.transformer.training.shapes import Shape
    from backend.nn.insertion.placement import Placement
    from backend.nn.quantize import Similarity
    from backend.types import ModelSpec, Progress

MACHINE_OPTIONS = ("states", "edges", "base", "seed", "length")
SHAPE_OPTIONS = ("backbone", "layers", "dim", "heads", "mlp")


@dataclass(frozen=True)
class Kind:
    """What differs between training on machines and on text.

    Attributes:
        shape: usual size of the model below.
        codes: usual number of codes, by place; at other places that of `mlp`.
        base_steps, base_batch, base_lr: how the model below is trained.
        steps, batch, lr, codebook_lr, autoencoding, commitment, straight_through: how codebooks are fine-tuned, see `Recipe`.
        similarity: how codes are chosen.
    """

    shape: Mapping[str, Any]
    codes: Mapping[str, int]
    base_steps: int
    base_batch: int
    base_lr: float
    steps: int
    batch: int
    lr: float
    codebook_lr: float
    autoencoding: float
    commitment: float
    straight_through: bool
    similarity: Similarity


MACHINES = Kind(
    {"backbone": "gpt2", "layers": 2, "dim": 128, "heads": 4, "mlp": 512},
    {"attn": 512, "mlp": 4000},
    base_steps=3000,
    base_batch=32,
    base_lr=2e-3,
    steps=300,
    batch=16,
    lr=3e-4,
    codebook_lr=1.0,
    autoencoding=1.0,
    commitment=0.25,
    straight_through=True,
    similarity="euclidean",
)
TEXTS = Kind(
    {"backbone": "gpt_neox", "layers": 3, "dim": 192, "heads": 6, "mlp": 768},
    {"attn": 512, "mlp": 2048},
    base_steps=1500,
    base_batch=16,
    base_lr=2e-3,
    steps=400,
    batch=8,
    lr=1e-3,
    # straight through, with 0.1 and 0.02, attention codebooks were as good after twice the steps; many codes of an MLP diverged
    codebook_lr=3.0,
    autoencoding=0.0,
    commitment=0.0,
    straight_through=False,
    similarity="cosine",
)
KINDS: dict[str, Kind] = {"tokfsm": MACHINES, "stories": TEXTS, "python-source": TEXTS, "text": TEXTS}


_NOT_PART_OF_THE_RUN = {"data_dir", "json", "progress", "command", "resume", "overwrite", "device", "evaluate", "run"}


@dataclass(frozen=True)
class Plan:
    """One run, checked: nothing in it can turn out to be impossible after hours of work.

    Attributes:
        name: of the new model.
        dataset: the `[dataset]` it is trained on.
        vocabulary: tokens of the tokenizer that is to be trained; 0 where the data need none or the base has one.
        placements, recipe: the codebooks, how they are trained.
        shape: of the model below; None where `origin` is a model that is there already.
        base_recipe: how the model below is trained; None where it is there already, or where it is all there is.
        origin: name of the model that the codebooks go into; empty where there are none.
        folder: what `--resume` needs.
        how, seed, device: first codes, seed, device.
    """

    name: str
    dataset: Mapping[str, Any]
    vocabulary: int
    shape: Shape | None
    placements: tuple[Placement, ...]
    recipe: Recipe
    base_recipe: Recipe | None
    origin: str
    folder: Path
    how: str
    seed: int
    device: str


def make_plan(options: argparse.Namespace) -> Plan:
    """Work out a run.

    Raises:
        BadInput: options that contradict each other or cannot be.
        UnknownModel: `--from` names no model.
    """
    from backend import catalog
    from backend.errors import BadInput
    from backend.families.transformer.training.codebooks import Recipe

    kind = KINDS[options.recipe]
    places = [] if options.places == "none" else options.places.split("+")
    if options.origin and not places:
        raise BadInput("--from says where the codebooks go, and --places none asks for none. Leave one of them out.")
    origin = _origin(options)
    dataset = _machine(options, origin).settings if options.recipe == "tokfsm" else _text(options, origin)
    shape = None if origin else _shape(options, kind)
    placements = _placements(options, places, kind)
    base_lr = options.base_lr if options.base_lr is not None else kind.base_lr
    commitment = options.commitment if options.commitment is not None else kind.commitment
    base_steps = options.base_steps if options.base_steps is not None else kind.base_steps
    for value, name, low in (
        (options.lr, "--lr", 0),
        (base_lr, "--base-lr", 0),
    ):
        if value is not None and not low < value < 1e6:
            raise BadInput(f"{name} {value:g} is out of range. Give a positive number.")
    if not 0 <= commitment < 1e6:
        raise BadInput(f"--commitment {commitment:g} is out of range. Give 0 or a positive number.")
    steps = options.steps if options.steps is not None else kind.steps if places else base_steps
    lr = options.lr if options.lr is not None else kind.lr if places else base_lr
    if min(steps, base_steps) < 1:
        raise BadInput("--steps and --base-steps must be at least 1.")

    def recipe(count: int, rate: float, batch: int) -> Recipe:
        return Recipe(count, options.batch or batch, rate, decay=0.6, save_every=max(20, min(500, count // 10)))

    tuned = recipe(steps, lr, kind.batch if places else kind.base_batch)
    if places:
        tuned = dataclasses.replace(
            tuned,
            warmup=0.1,
            codebook_lr=kind.codebook_lr,
            autoencoding=kind.autoencoding,
            commitment=commitment,
            straight_through=kind.straight_through,
            distill=not options.no_distill,
            reset_every=options.reset_every,
        )
    name = _name(options, places, dataset)
    return Plan(
        name=name,
        dataset=dataset,
        vocabulary=0 if origin or options.recipe == "tokfsm" else options.vocabulary or 2048,
        shape=shape,
        placements=placements,
        recipe=tuned,
        base_recipe=recipe(base_steps, base_lr, kind.base_batch) if places and not origin else None,
        origin=origin.name if origin else f"{name}-base" if places else "",
        folder=catalog.inside(options.data_dir, Path("training") / name),
        how=options.init,
        seed=options.seed,
        device=options.device,
    )


def _origin(options: argparse.Namespace) -> ModelSpec | None:
    """The model that the codebooks go into, where `--from` names one."""
    from backend import catalog
    from backend.errors import BadInput

    if not options.origin:
        return None
    spec = catalog.find(options.origin, options.data_dir)
    if spec.family != "transformer" or (options.recipe == "tokfsm") != (spec.dataset["name"] == "tokfsm"):
        what = "a finite-state machine" if options.recipe == "tokfsm" else "text"
        raise BadInput(f"{spec.name} was not trained on {what}. Give another model with --from.")
    if any(getattr(options, name) is not None for name in SHAPE_OPTIONS):
        raise BadInput("The model below is that of --from. Leave out --backbone, --layers, --dim, --heads and --mlp.")
    folder = catalog.checkpoint_folder(spec, options.data_dir)  # its weights must be there
    if options.recipe != "tokfsm" and not (folder / "tokenizer.json").is_file():
        raise BadInput(
            f"{spec.name} has no tokenizer.json, so it reads no text. Import it again from a folder with one."
        )
    return spec


def _machine(options: argparse.Namespace, origin: ModelSpec | None) -> Machine:
    from backend.data.machines import Machine
    from backend.errors import BadInput, CatalogError

    given = {
        name: getattr(options, {"seed": "machine_seed", "base": "digits_base"}.get(name, name))
        for name in MACHINE_OPTIONS
    }
    chosen = {name: value for name, value in given.items() if value is not None}
    try:
        if origin is None:
            return Machine(**chosen)
    except CatalogError as error:
        raise BadInput(str(error)) from error
    machine = Machine.from_settings({k: v for k, v in origin.dataset.items() if k in ("name", *MACHINE_OPTIONS)})
    if wrong := sorted(k for k, v in chosen.items() if getattr(machine, k) != v):
        raise BadInput(
            f"{origin.name} was trained on another machine: {machine}. Leave out the options for {', '.join(wrong)}."
        )
    return machine


def _text(options: argparse.Namespace, origin: ModelSpec | None) -> Mapping[str, Any]:
    from backend import catalog
    from backend.errors import BadInput

    if origin is not None and options.vocabulary:
        raise BadInput(f"The tokenizer is that of {origin.name}. Leave out --vocabulary.")
    settings: dict[str, Any] = {"name": options.recipe, "length": options.length or 256}
    if origin is not None:
        from backend.families.transformer.checkpoint import read_config

        config = read_config(catalog.checkpoint_folder(origin, options.data_dir)).get_text_config()
        longest = int(getattr(config, "max_position_embeddings", settings["length"]))
        if options.length is None:
            settings["length"] = min(settings["length"], longest)
        elif options.length > longest:
            raise BadInput(f"{origin.name} reads up to {longest} tokens; --length {options.length} is too long.")
    if settings["length"] < 8:
        raise BadInput(f"Rows of {settings['length']} tokens are too short to learn from. Give --length 8 or more.")
    if options.recipe == "text":
        if not options.text.strip():
            raise BadInput("Which text? --text names it, and it is empty. Give a file, a folder, or hf:owner/name.")
        settings["path"] = options.text
        if not options.text.startswith("hf:"):
            path = Path(options.text).expanduser().resolve()
            if not path.exists():
                raise BadInput(f"There is no file or folder {options.text}. Give --text a path, or hf:owner/name.")
            settings["path"] = str(path)
        if options.split:
            settings["split"] = options.split
    return settings


def _shape(options: argparse.Namespace, kind: Kind) -> Shape:
    from backend.errors import BadInput, UsageError
    from backend.families.transformer.training.shapes import Shape

    sizes = {name: getattr(options, name) for name in SHAPE_OPTIONS}
    sizes = {name: value for name, value in sizes.items() if value is not None}
    if "dim" in sizes and "mlp" not in sizes:
        sizes["mlp"] = 4 * sizes["dim"]
    try:
        return Shape(**{**kind.shape, **sizes})
    except UsageError as error:
        raise BadInput(str(error)) from error


def _placements(options: argparse.Namespace, places: list[str], kind: Kind) -> tuple[Placement, ...]:
    from backend.errors import BadInput
    from backend.nn.insertion.placement import PLACES, Placement

    if unknown := [place for place in places if place not in PLACES]:
        raise BadInput(f"{unknown} are no places. Give none, or some of {', '.join(PLACES)}, joined by '+'.")
    if len(set(places)) < len(places):
        raise BadInput(f"A place is named twice in {options.places!r}.")
    usual = [kind.codes.get(place, kind.codes["mlp"]) for place in places]
    codes = usual if options.codes is None else _numbers("--codes", options.codes, places)
    k = _numbers("--k", options.k, places)
    made = []
    for place, c, chosen in zip(places, codes, k, strict=True):
        if chosen > c:
            raise BadInput(f"{chosen} of {c} codes cannot be chosen at {place!r}. Give a smaller --k or more --codes.")
        made.append(
            Placement(
                place,  # type: ignore[arg-type]
                codes=c,
                k=chosen,
                similarity=options.similarity or kind.similarity,
                combine=options.combine,
                layer_norm=options.layer_norm,
            )
        )
    return tuple(made)


def _numbers(name: str, text: str, places: list[str]) -> list[int]:
    from backend.errors import BadInput

    parts = text.split("+")
    if not all(part.isascii() and part.isdigit() and 0 < int(part) < 10_000_000 for part in parts):
        raise BadInput(f"{name} {text!r} is no number of codes. Give a whole number above 0, or one a place, e.g. 8+1.")
    if len(parts) not in (1, len(places)) and places:
        raise BadInput(f"{name} {text!r} has {len(parts)} numbers for {len(places)} places. Give one, or one a place.")
    return [int(part) for part in parts] * (len(places) if len(parts) == 1 else 1) if places else []


def _name(options: argparse.Namespace, places: list[str], dataset: Mapping[str, Any]) -> str:
    """The given name, or one made from the options; a made one never hides a shipped model unless told to."""
    from backend import catalog
    from backend.data.machines import Machine

    if options.name is not None:
        return catalog.check_name(options.name)
    usual = Machine().settings
    parts = [options.recipe.removesuffix("-source")]
    if options.recipe == "tokfsm":
        letters = {"states": "n", "edges": "e", "base": "b"}
        parts += [f"{letter}{dataset[key]}" for key, letter in letters.items() if dataset[key] != usual[key]]
    parts += [*places, f"k{options.k.replace('+', '-')}"] if places else ["base"]
    name = "-".join(parts)
    shipped = {path.stem for path in catalog.SHIPPED.glob("*.toml")}
    return name if name not in shipped or options.overwrite else f"{name}-mine"


def check_measurable(plan: Plan, options: argparse.Namespace) -> None:
    """What is measured at the end must be there at the beginning.

    Raises:
        BadInput: the text is a single document, or copies of one, and it is to be measured.
    """
    from backend.data.datasets import open_corpus
    from backend.data.seeds import HELD_OUT_SEED
    from backend.errors import BadInput

    if not options.evaluate or options.recipe != "text":
        return
    corpus = open_corpus(plan.dataset)
    if corpus.count(HELD_OUT_SEED) == 0:
        copies = corpus.count(0)
        what, mend = (
            ("is a single document", "Cut it with --split lines or paragraphs, give more text")
            if copies == 1
            else (f"is {copies:,} copies of the same document", "Give text that differs")
        )
        raise BadInput(
            f"{options.text} {what}, so nothing of it can be held out to measure on. {mend}, or leave measuring out with "
            "--evaluate 0."
        )


def identity(options: argparse.Namespace) -> dict[str, Any]:
    """The options that make the run what it is."""
    return {key: value for key, value in sorted(vars(options).items()) if key not in _NOT_PART_OF_THE_RUN}


def prepare(plan: Plan, options: argparse.Namespace, progress: Progress) -> None:
    """Make the run's folder, tokenizer included, or check that it is the same run that is to go on."""
    from backend import catalog
    from backend.errors import BadInput
    from backend.families.transformer.checkpoint import tokenizer_in
    from backend.families.transformer.training.tokenizing import make_tokenizer
    from backend.files import write_atomically

    file = plan.folder / "options.json"
    if options.resume and file.exists():
        before, now = json.loads(file.read_text(encoding="utf-8")), identity(options)
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
    if options.recipe == "text":
        progress("looking for documents in the text", 0, 0)
    check_measurable(plan, options)
    shutil.rmtree(plan.folder, ignore_errors=True)
    plan.folder.mkdir(parents=True)
    if plan.vocabulary:
        make_tokenizer(plan.dataset, plan.vocabulary, plan.folder, progress)
    elif plan.origin and plan.base_recipe is None:
        origin = catalog.checkpoint_folder(catalog.find(plan.origin, options.data_dir), options.data_dir)
        for name, content in tokenizer_in(origin).items():
            (plan.folder / name).write_bytes(content)
    write_atomically(file, json.dumps(identity(options), indent=1) + "\n")
