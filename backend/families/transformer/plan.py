"""What a training run of a language model is to do, worked out of the options and checked before any work starts."""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from backend import catalog
from backend.data.datasets import source_of
from backend.data.source import DataSource
from backend.data.texts.settings import LENGTH
from backend.errors import BadInput, UsageError
from backend.families.transformer.training.recipe import Recipe
from backend.families.transformer.training.shapes import Shape
from backend.nn.insertion.placement import PLACES, Placement
from backend.train.recipes import RunOptions, given_settings, run_options
from backend.types import ModelSpec

if TYPE_CHECKING:
    from backend.nn.quantize import Similarity

SHAPE_OPTIONS = ("backbone", "layers", "dim", "heads", "mlp")
VOCABULARY = 2048  # tokens of a tokenizer that is trained
SHORTEST = 8  # tokens of a row of text that something can be learnt from


@dataclass(frozen=True)
class Defaults:
    """What a run is where the options say nothing: it differs between machines and texts.

    Attributes:
        shape: size of the model below.
        codes: number of codes, by place; at other places that of `mlp`.
        base: how the model below is trained.
        tuned: how codebooks are fine-tuned.
        similarity: how codes are chosen.
    """

    shape: Shape
    codes: Mapping[str, int]
    base: Recipe
    tuned: Recipe
    similarity: Similarity

    def codes_at(self, place: str) -> int:
        """Return the number of codes at a place."""
        return self.codes.get(place, self.codes["mlp"])


MACHINES = Defaults(
    Shape("gpt2", layers=2, dim=128, heads=4, mlp=512),
    {"attn": 512, "mlp": 4000},
    Recipe(steps=3000, batch=32, lr=2e-3, decay=0.6),
    Recipe(steps=300, batch=16, lr=3e-4, warmup=0.1, decay=0.6, commitment=0.25, distill=True),
    similarity="euclidean",
)
TEXTS = Defaults(
    Shape("gpt_neox", layers=3, dim=192, heads=6, mlp=768),
    {"attn": 512, "mlp": 2048},
    Recipe(steps=1500, batch=16, lr=2e-3, decay=0.6),
    # straight through, with 0.1 and 0.02, attention codebooks were as good after twice the steps; many codes of an MLP diverged
    Recipe(
        steps=400,
        batch=8,
        lr=1e-3,
        codebook_lr=3.0,
        warmup=0.1,
        decay=0.6,
        autoencoding=0.0,
        commitment=0.0,
        straight_through=False,
        distill=True,
    ),
    similarity="cosine",
)


def defaults_of(source: DataSource) -> Defaults:
    """Return what a run on a data set is where nothing is said."""
    return MACHINES if "states" in source.capabilities else TEXTS


@dataclass(frozen=True)
class TransformerPlan:
    """One run, checked: nothing in it can turn out to be impossible after hours of work. See `backend.train.recipes.Plan`.

    Attributes:
        name: of the new model.
        run: what is the same for any training.
        dataset: the `[dataset]` it is trained on.
        vocabulary: tokens of the tokenizer that is to be trained; 0 where the data need none or the base has one.
        shape: of the model below; None where `origin` is a model that is there already.
        placements: the codebooks.
        first_codes: where they start: `kmeans`, `data` or `random`.
        recipe: how the model itself is trained.
        base_recipe: how the model below is trained; None where it is there already, or where it is all there is.
        origin: name of the model that the codebooks go into; empty where there are none.
    """

    name: str
    run: RunOptions
    dataset: Mapping[str, Any]
    vocabulary: int
    shape: Shape | None
    placements: tuple[Placement, ...]
    first_codes: str
    recipe: Recipe
    base_recipe: Recipe | None
    origin: str
    together: bool = True

    @property
    def steps(self) -> int:
        """See `Plan`."""
        return self.recipe.steps

    @property
    def length(self) -> int:
        """Tokens of a row."""
        return int(self.dataset["length"])

    @property
    def source(self) -> DataSource:
        """The data set."""
        return source_of(self.dataset)

    def spec(self, name: str, placements: tuple[Placement, ...], base: str = "") -> ModelSpec:
        """Return the catalog entry of a model of this run."""
        what = ", ".join(f"{p.place} C={p.codes} k={p.k}" for p in placements)
        title = f"{self.source.subject(self.dataset)}; {what or 'no codebooks'}"
        return ModelSpec(name, "transformer", "text", title, self.dataset, f"checkpoints/{name}", base=base)


def make_plan(options: argparse.Namespace) -> TransformerPlan:
    """Work out a run.

    Raises:
        BadInput: options that contradict each other or cannot be.
        UnknownModel: `--from` names no model.
    """
    source = source_of(options.recipe)
    defaults = defaults_of(source)
    places = [] if options.places == "none" else options.places.split("+")
    if options.origin and not places:
        raise BadInput("--from says where the codebooks go, and --places none asks for none. Leave one of them out.")
    origin = _origin(options, source)
    dataset = _dataset(options, source, origin)
    shape = None if origin else _shape(options, defaults)
    placements = _placements(options, places, defaults)
    base_recipe, tuned = _recipes(options, bool(places), defaults)
    name = _name(options, places, source.prefix(dataset))
    return TransformerPlan(
        name=name,
        run=run_options(options),
        dataset=dataset,
        vocabulary=0 if origin or source.corpus is None else options.vocabulary or VOCABULARY,
        shape=shape,
        placements=placements,
        first_codes=options.init,
        recipe=tuned if places else base_recipe,
        base_recipe=base_recipe if places and not origin else None,
        origin=origin.name if origin else f"{name}-base" if places else "",
    )


# -- data ----------------------------------------------------------------------------------------------------------------


def _origin(options: argparse.Namespace, source: DataSource) -> ModelSpec | None:
    """Return the model that the codebooks go into, where `--from` names one."""
    if not options.origin:
        return None
    spec = catalog.find(options.origin, options.data_dir)
    states = "states" in source.capabilities
    if spec.family != "transformer" or states != ("states" in source_of(spec.dataset).capabilities):
        what = "a finite-state machine" if states else "text"
        raise BadInput(f"{spec.name} was not trained on {what}. Give another model with --from.")
    if any(getattr(options, name) is not None for name in SHAPE_OPTIONS):
        raise BadInput("The model below is that of --from. Leave out --backbone, --layers, --dim, --heads and --mlp.")
    folder = catalog.checkpoint_folder(spec, options.data_dir)  # its weights must be there
    if source.corpus is not None and not (folder / "tokenizer.json").is_file():
        raise BadInput(
            f"{spec.name} has no tokenizer.json, so it reads no text. Import it again from a folder with one."
        )
    return spec


def _dataset(options: argparse.Namespace, source: DataSource, origin: ModelSpec | None) -> Mapping[str, Any]:
    """Return the `[dataset]`: as a person gave it, and as the model of `--from` needs it."""
    choices = given_settings(options, source)
    if source.corpus is not None:
        return source.settings(_text(options, choices, origin))
    if origin is None:
        return source.settings(choices)
    settings = source.settings({key: value for key, value in origin.dataset.items() if key != "name"})
    if wrong := sorted(key for key, value in choices.items() if settings[key] != value):
        machine = ", ".join(f"{key} {value}" for key, value in settings.items() if key != "name")
        raise BadInput(
            f"{origin.name} was trained on another machine: {machine}. Leave out the options for {', '.join(wrong)}."
        )
    return settings


def _text(options: argparse.Namespace, choices: dict[str, Any], origin: ModelSpec | None) -> dict[str, Any]:
    """Return the settings of a text with a length that the model of `--from` can read."""
    length = choices.get("length", LENGTH)
    if origin is not None:
        from backend.families.transformer.checkpoint import read_config

        if options.vocabulary:
            raise BadInput(f"The tokenizer is that of {origin.name}. Leave out --vocabulary.")
        config = read_config(catalog.checkpoint_folder(origin, options.data_dir)).get_text_config()
        longest = int(getattr(config, "max_position_embeddings", length))
        if "length" in choices and length > longest:
            raise BadInput(f"{origin.name} reads up to {longest} tokens; --length {length} is too long.")
        length = min(length, longest)
    if length < SHORTEST:
        raise BadInput(f"Rows of {length} tokens are too short to learn from. Give --length {SHORTEST} or more.")
    return {**choices, "length": length}


# -- model and training --------------------------------------------------------------------------------------------------


def _shape(options: argparse.Namespace, defaults: Defaults) -> Shape:
    sizes = {name: getattr(options, name) for name in SHAPE_OPTIONS}
    sizes = {name: value for name, value in sizes.items() if value is not None}
    if "dim" in sizes and "mlp" not in sizes:
        sizes["mlp"] = 4 * sizes["dim"]
    try:
        return dataclasses.replace(defaults.shape, **sizes)
    except UsageError as error:
        raise BadInput(str(error)) from error


def _recipes(options: argparse.Namespace, places: bool, defaults: Defaults) -> tuple[Recipe, Recipe]:
    """Return how a model without codebooks is trained (below them, or alone), and how codebooks are fine-tuned."""

    def chosen(value: Any, default: Any) -> Any:
        return default if value is None else value

    base, tuned = defaults.base, defaults.tuned
    base_lr, base_steps = chosen(options.base_lr, base.lr), chosen(options.base_steps, base.steps)
    commitment = chosen(options.commitment, tuned.commitment)
    for value, name in ((options.lr, "--lr"), (base_lr, "--base-lr")):
        if value is not None and not 0 < value < 1e6:
            raise BadInput(f"{name} {value:g} is out of range. Give a positive number.")
    if not 0 <= commitment < 1e6:
        raise BadInput(f"--commitment {commitment:g} is out of range. Give 0 or a positive number.")
    if not places:  # the model is all there is: it goes by the plain options
        base_lr, base_steps = chosen(options.lr, base_lr), chosen(options.steps, base_steps)
    steps = chosen(options.steps, tuned.steps)
    if min(steps, base_steps) < 1:
        raise BadInput("--steps and --base-steps must be at least 1.")
    base = dataclasses.replace(
        base, steps=base_steps, lr=base_lr, batch=options.batch or base.batch, save_every=_save_every(base_steps)
    )
    tuned = dataclasses.replace(
        tuned,
        steps=steps,
        lr=chosen(options.lr, tuned.lr),
        batch=options.batch or tuned.batch,
        commitment=commitment,
        distill=not options.no_distill,
        reset_every=options.reset_every,
        save_every=_save_every(steps),
    )
    return base, tuned


def _save_every(steps: int) -> int:
    return max(20, min(500, steps // 10))


def _placements(options: argparse.Namespace, places: list[str], defaults: Defaults) -> tuple[Placement, ...]:
    if unknown := [place for place in places if place not in PLACES]:
        raise BadInput(f"{unknown} are not places. Give none, or some of {', '.join(PLACES)}, joined by '+'.")
    if len(set(places)) < len(places):
        raise BadInput(f"A place is named twice in {options.places!r}.")
    codes = (
        [defaults.codes_at(place) for place in places]
        if options.codes is None
        else _numbers("--codes", options.codes, places)
    )
    placements = []
    for place, count, k in zip(places, codes, _numbers("--k", options.k, places), strict=True):
        if k > count:
            raise BadInput(f"{k} of {count} codes cannot be chosen at {place!r}. Give a smaller --k or more --codes.")
        placements.append(
            Placement(
                place,  # type: ignore[arg-type]
                codes=count,
                k=k,
                similarity=options.similarity or defaults.similarity,
                combine=options.combine,
                layer_norm=options.layer_norm,
            )
        )
    return tuple(placements)


def _numbers(name: str, text: str, places: list[str]) -> list[int]:
    parts = text.split("+")
    if not all(part.isascii() and part.isdigit() and 0 < int(part) < 10_000_000 for part in parts):
        raise BadInput(
            f"{name} {text!r} is not a number of codes. Give a whole number above 0, or one a place, e.g. 8+1."
        )
    if len(parts) not in (1, len(places)) and places:
        raise BadInput(f"{name} {text!r} has {len(parts)} numbers for {len(places)} places. Give one, or one a place.")
    return [int(part) for part in parts] * (len(places) if len(parts) == 1 else 1) if places else []


def _name(options: argparse.Namespace, places: list[str], prefix: str) -> str:
    """Return the given name, or one made from the options; a made one never hides a shipped model unless told to."""
    if options.name is not None:
        return catalog.check_name(options.name)
    name = "-".join([prefix, *([*places, f"k{options.k.replace('+', '-')}"] if places else ["base"])])
    shipped = {path.stem for path in catalog.SHIPPED.glob("*.toml")}
    return name if name not in shipped or options.overwrite else f"{name}-mine"
