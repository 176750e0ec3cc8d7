"""Measuring a codebook transformer from its checkpoint: the loss, the use of its codes, and what its data set can judge.

1. Of every model: loss and accuracy on held-out items, beside its base and the generator's own entropy, and dead codes.
2. Of finite-state machines: sampled transitions, state codes and forced states (`measure_machines`).
3. Of texts: codes as classifiers of concepts (`measure_concepts`), and how often steering works (`measure_steering`).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence

import numpy as np

from backend.analysis.measures import Measures
from backend.analysis.seeds import HELD_OUT_SEED
from backend.data.datasets import source_of
from backend.families.kind import Other, Request
from backend.families.transformer.live import LiveModel
from backend.families.transformer.machines import machine_of
from backend.families.transformer.measure_concepts import measure_concepts, text_floor
from backend.families.transformer.measure_machines import measure_state_codes, measure_transitions
from backend.families.transformer.measure_steering import SteeringMeasures
from backend.families.transformer.model import TransformerFamily
from backend.types import CodeGrid, Encoded, Item

LOGITS = 1 << 25  # of the items that are measured at a time
GRID_ARRAYS = ("codes", "scores", "runner_up", "runner_up_score")


def measure(family: TransformerFamily, other: Other, request: Request, into: Measures) -> None:
    """Open the door `measure`: everything that can be measured of one model, seed by seed.

    Edits that steering was measured with are left in `into` for the model card.
    """
    spec = family.spec
    base = other(spec.base) if spec.base and spec.base != spec.name else None
    trials = None
    if request.steering and "steer" in family.capabilities and source_of(spec.dataset).trial is not None:
        trials = SteeringMeasures(LiveModel(family, other), request.seeds, request.edits, request.progress)
        into.edits |= {
            f"{behaviour.field}={behaviour.value}": tuple(map(str, edits)) for behaviour, edits in trials.edits.items()
        }
    for seed in range(request.seeds):
        request.tell(f"evaluating {spec.name}, seed {seed}", seed, request.seeds)
        measure_seed(family, base, into, seed, request.items)
        if trials is not None:
            trials.measure(into, seed, request.progress)
    request.tell(f"evaluating {spec.name}", request.seeds, request.seeds)


def measure_seed(
    family: TransformerFamily, base: TransformerFamily | None, into: Measures, seed: int, count: int
) -> None:
    """Add everything that can be measured of one model with one seed."""
    items = family.items(0, count, HELD_OUT_SEED + seed)
    states = "states" in family.capabilities
    coded = bool(family.codebooks())
    floor = machine_of(family).loss_floor if states else text_floor(family, items, HELD_OUT_SEED + seed)
    grids, neurons = _language(family, base, items, into, floor, with_neurons=coded)
    _usage(family, grids, into)
    if states:
        measure_transitions(family, into, seed, count)
    if states and coded:
        measure_state_codes(family, items, grids, neurons, into, seed, count)
    elif coded and items[0].text:
        measure_concepts(family, items, grids, neurons, into, seed)


def _language(
    family: TransformerFamily,
    base: TransformerFamily | None,
    items: Sequence[Item],
    into: Measures,
    floor: float | None,
    with_neurons: bool,
) -> tuple[dict[str, CodeGrid], dict[str, np.ndarray]]:
    """Add loss and accuracy on held-out items; returns the codes and neurons seen on the way."""
    encoded: list[Encoded] = []
    losses, base_losses, right = [], [], []
    for part in _parts(items, family.vocabulary):
        answer = family.encode(part, logits=True, neurons=with_neurons)
        loss, hit = _loss(answer.logits, part)
        losses.append(loss)
        right.append(hit)
        encoded.append(dataclasses.replace(answer, logits=None))
        if base is not None:
            base_losses.append(_loss(base.encode(part, logits=True).logits, part)[0])
    loss = np.concatenate(losses)
    n = len(loss)
    into.add("lm_loss", loss.mean(), n, "cross-entropy in nats per predicted token, held-out items")
    into.add(
        "lm_accuracy",
        np.concatenate(right).mean(),
        n,
        "share of held-out tokens that are the model's most likely one",
    )
    if floor is not None:
        exact = (
            "exact" if "states" in family.capabilities else "of the generator's choices: an upper bound of the text's"
        )
        into.add("lm_loss_floor", floor, n, f"entropy of the generating process in nats per predicted token, {exact}")
    if base is not None:
        into.add(
            "lm_loss_above_base",
            loss.mean() - np.concatenate(base_losses).mean(),
            n,
            f"lm_loss minus that of {base.spec.name} on the same tokens",
        )
    grids = {
        site: CodeGrid(site, *(np.concatenate([getattr(e.grids[site], name) for e in encoded]) for name in GRID_ARRAYS))
        for site in encoded[0].grids
    }
    return grids, {name: np.concatenate([e.neurons[name] for e in encoded]) for name in encoded[0].neurons}


def _parts(items: Sequence[Item], vocabulary: int) -> Iterator[Sequence[Item]]:
    """Yield runs of items whose logits fit into memory."""
    start = positions = 0
    for stop, item in enumerate(items):
        positions += item.positions
        if stop > start and positions * vocabulary > LOGITS:
            yield items[start:stop]
            start, positions = stop, item.positions
    yield items[start:]


def _loss(logits: np.ndarray | None, items: Sequence[Item]) -> tuple[np.ndarray, np.ndarray]:
    """Return the cross-entropy of every token but each item's first, float64, and whether it was the most likely one."""
    assert logits is not None
    losses, right = [], []
    start = 0
    for item in items:
        rows = logits[start : start + item.positions - 1].astype(np.float64)
        rows -= rows.max(-1, keepdims=True)
        target = item.payload[1:]
        losses.append(np.log(np.exp(rows).sum(-1)) - rows[np.arange(len(target)), target])
        right.append(rows.argmax(-1) == target)
        start += item.positions
    return np.concatenate(losses), np.concatenate(right)


def _usage(family: TransformerFamily, grids: dict[str, CodeGrid], into: Measures) -> None:
    """Add the dead codes of every codebook and of all together; n counts positions, as with images."""
    dead = total = positions = 0
    for info in family.codebooks():
        codes = grids[info.site].codes
        unused = info.num_codes - len(np.unique(codes[codes >= 0]))
        positions = len(codes)
        definition = f"share of the {info.num_codes:,} codes of {info.site} that none of the n held-out positions chose"
        into.add(f"dead_code_fraction.{info.site}", unused / info.num_codes, positions, definition)
        dead += unused
        total += info.num_codes
    if total:
        definition = f"share of the {total:,} codes of all codebooks that none of the n held-out positions chose"
        into.add("dead_code_fraction", dead / total, positions, definition)
