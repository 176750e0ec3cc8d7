"""What a training run is to do, worked out of the options and checked before any work starts."""

from __future__ import annotations

import argparse
import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from backend.data.fsm import Machine
    from backend.nn.placement import Placement
    from backend.train.codebooks import Recipe
    from backend.train.tokfsm import Shape

MACHINE_OPTIONS = ("states", "edges", "base", "seed", "length")
SHAPE_OPTIONS = ("backbone", "layers", "dim", "heads", "mlp")


@dataclass(frozen=True)
class Plan:
    """One run, checked: nothing in it can turn out to be impossible after hours of work.

    Attributes:
        name: of the new model.
        machine, placements, recipe: what is trained on, the codebooks, how.
        shape: of the model below; None where `origin` is a model that is there already.
        base_recipe: how the model below is trained; None where it is there already, or where it is all there is.
        origin: name of the model that the codebooks go into; empty where there are none.
        folder: what `--resume` needs.
        how, seed, device: first codes, seed, device.
    """

    name: str
    machine: Machine
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
    from backend.train.codebooks import Recipe

    places = [] if options.places == "none" else options.places.split("+")
    if options.origin and not places:
        raise BadInput("--from says where the codebooks go, and --places none asks for none. Leave one of them out.")
    machine, shape = _below(options)
    placements = _placements(options, places)
    for value, name, low in (
        (options.lr, "--lr", 0),
        (options.base_lr, "--base-lr", 0),
        (options.commitment, "--commitment", -1),
    ):
        if value is not None and not low < value < 1e6:
            raise BadInput(f"{name} {value:g} is out of range. Give a positive number.")
    steps = options.steps if options.steps is not None else 300 if places else options.base_steps
    lr = options.lr if options.lr is not None else 3e-4 if places else options.base_lr
    if min(steps, options.base_steps) < 1:
        raise BadInput("--steps and --base-steps must be at least 1.")

    def recipe(count: int, rate: float, batch: int) -> Recipe:
        return Recipe(count, options.batch or batch, rate, decay=0.6, save_every=max(20, min(500, count // 10)))

    tuned = recipe(steps, lr, 16 if places else 32)
    if places:
        tuned = dataclasses.replace(
            tuned,
            warmup=0.1,
            commitment=options.commitment,
            distill=not options.no_distill,
            reset_every=options.reset_every,
        )
    name = _name(options, places, machine)
    return Plan(
        name=name,
        machine=machine,
        shape=shape,
        placements=placements,
        recipe=tuned,
        base_recipe=recipe(options.base_steps, options.base_lr, 32) if places and not options.origin else None,
        origin=options.origin or (f"{name}-base" if places else ""),
        folder=catalog.inside(options.data_dir, Path("training") / name),
        how=options.init,
        seed=options.seed,
        device=options.device,
    )


def _below(options: argparse.Namespace) -> tuple[Machine, Shape | None]:
    """The machine, and the shape of the model below where that is still to be trained."""
    from backend import catalog
    from backend.data.fsm import Machine
    from backend.errors import BadInput, CatalogError, UsageError
    from backend.train.tokfsm import Shape

    given = {name: getattr(options, name if name != "seed" else "machine_seed") for name in MACHINE_OPTIONS}
    sizes = {name: getattr(options, name) for name in SHAPE_OPTIONS}
    chosen = {name: value for name, value in given.items() if value is not None}
    if options.origin:
        spec = catalog.find(options.origin, options.data_dir)
        if spec.dataset["name"] != "tokfsm":
            raise BadInput(f"{spec.name} was not trained on a finite-state machine. Give another model with --from.")
        machine = Machine.from_settings({k: v for k, v in spec.dataset.items() if k in ("name", *MACHINE_OPTIONS)})
        if wrong := sorted(k for k, v in chosen.items() if getattr(machine, k) != v):
            raise BadInput(
                f"{spec.name} was trained on another machine: {machine}. Leave out the options for {', '.join(wrong)}."
            )
        if any(value is not None for value in sizes.values()):
            raise BadInput(
                "The model below is that of --from. Leave out --backbone, --layers, --dim, --heads and --mlp."
            )
        catalog.checkpoint_folder(spec, options.data_dir)  # its weights must be there
        return machine, None
    try:
        return Machine(**chosen), Shape(**{name: value for name, value in sizes.items() if value is not None})
    except (CatalogError, UsageError) as error:
        raise BadInput(str(error)) from error


def _placements(options: argparse.Namespace, places: list[str]) -> tuple[Placement, ...]:
    from backend.errors import BadInput
    from backend.nn.placement import PLACES, Placement

    if unknown := [place for place in places if place not in PLACES]:
        raise BadInput(f"{unknown} are no places. Give none, or some of {', '.join(PLACES)}, joined by '+'.")
    if len(set(places)) < len(places):
        raise BadInput(f"A place is named twice in {options.places!r}.")
    usual = [512 if place == "attn" else 4000 for place in places]
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
                similarity=options.similarity,
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


def _name(options: argparse.Namespace, places: list[str], machine: Machine) -> str:
    """The given name, or one made from the options; a made one never hides a shipped model unless told to."""
    from backend import catalog
    from backend.data.fsm import Machine

    if options.name is not None:
        return catalog.check_name(options.name)
    usual = Machine()
    parts = [options.recipe]
    parts += [f"n{machine.states}"] * (machine.states != usual.states) + [f"e{machine.edges}"] * (
        machine.edges != usual.edges
    )
    parts += [f"b{machine.base}"] * (machine.base != usual.base)
    parts += [*places, f"k{options.k.replace('+', '-')}"] if places else ["base"]
    name = "-".join(parts)
    shipped = {path.stem for path in catalog.SHIPPED.glob("*.toml")}
    return name if name not in shipped or options.overwrite else f"{name}-mine"
