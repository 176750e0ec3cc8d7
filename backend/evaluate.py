"""Measuring a model again from its checkpoint: every number with its definition, its n and its spread over seeds.

`evaluate` chooses what to measure by the model's capabilities. Nothing is read from a record.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np

from backend import catalog
from backend.analysis.states import StateCodes, jensen_shannon, neuron_precision, purity, wrong_code_precision
from backend.errors import Unsupported
from backend.families import open_family
from backend.families.transformer import TransformerFamily
from backend.machines import codes_by_state, machine_of, make_patches, next_token, sample_walks, sites_at, truth_in
from backend.types import CodeGrid, Item, Metric

Progress = Callable[[str, int, int], None]
HELD_OUT_SEED = 900_000  # items from here on are never trained on


class Measures:
    """Values of one metric per seed, gathered into `Metric`s."""

    def __init__(self) -> None:
        """Start with nothing measured."""
        self._values: dict[str, list[float]] = defaultdict(list)
        self._about: dict[str, tuple[int, str]] = {}

    def add(self, name: str, value: float, n: int, definition: str) -> None:
        """Add the value of one seed."""
        self._values[name].append(float(value))
        self._about[name] = (int(n), definition)

    def metrics(self) -> dict[str, Metric]:
        """Mean, smallest and largest over the seeds."""
        return {
            name: Metric(float(np.mean(v)), min(v), max(v), self._about[name][0], len(v), self._about[name][1])
            for name, v in self._values.items()
        }


def evaluate(
    model: str,
    data_dir: Path,
    *,
    seeds: int = 3,
    items: int = 256,
    device: str = "cpu",
    progress: Progress | None = None,
) -> dict[str, Metric]:
    """Measure a model of the catalog.

    Args:
        model: its name.
        data_dir: where its checkpoint is.
        seeds: how many times, on other held-out items, samples and patches each time.
        items: held-out items, samples and patches per seed.
        device: `cpu` or `cuda`.
        progress: called with (what, done, total).

    Raises:
        Unsupported: there is nothing to measure for such a model yet.
    """
    spec = catalog.find(model, data_dir)
    family = open_family(spec, data_dir, device)
    base = (
        open_family(catalog.find(spec.base, data_dir), data_dir, device) if spec.base and spec.base != model else None
    )
    if "logits" not in family.capabilities:
        raise Unsupported(f"{model} predicts no tokens; there is nothing to measure for it yet.")
    measures = Measures()
    for seed in range(seeds):
        if progress:
            progress(f"evaluating {model}, seed {seed}", seed, seeds)
        measure(family, base, measures, seed, items)
    if progress:
        progress(f"evaluating {model}", seeds, seeds)
    return measures.metrics()


def measure(family: TransformerFamily, base: TransformerFamily | None, into: Measures, seed: int, count: int) -> None:
    """Everything that can be measured of one model with one seed."""
    items = family.items(0, count, HELD_OUT_SEED + seed)
    states = "states" in family.capabilities
    floor = machine_of(family).loss_floor if states else None
    grids, neurons = _language(family, base, items, into, floor, with_neurons=states and bool(family.codebooks()))
    _usage(family, grids, into)
    if states:
        _transitions(family, into, seed, count)
        if family.codebooks():
            _state_codes(family, items, grids, neurons, into, seed, count)


def _language(
    family: TransformerFamily,
    base: TransformerFamily | None,
    items: Sequence[Item],
    into: Measures,
    floor: float | None,
    with_neurons: bool,
) -> tuple[dict[str, CodeGrid], dict[str, np.ndarray]]:
    """Loss and accuracy on held-out items; returns the codes and neurons seen on the way."""
    encoded = family.encode(items, logits=True, neurons=with_neurons)
    loss, right = _loss(encoded.logits, items)
    n = len(loss)
    into.add("lm_loss", loss.mean(), n, "cross-entropy in nats per predicted token, held-out items")
    into.add("lm_accuracy", right.mean(), n, "share of held-out tokens that are the model's most likely one")
    if floor is not None:
        into.add("lm_loss_floor", floor, n, "entropy of the generating process in nats per predicted token, exact")
    if base is not None:
        base_loss, _ = _loss(base.encode(items, logits=True).logits, items)
        into.add(
            "lm_loss_above_base",
            loss.mean() - base_loss.mean(),
            n,
            f"lm_loss minus that of {base.spec.name} on the same tokens",
        )
    return dict(encoded.grids), dict(encoded.neurons)


def _loss(logits: np.ndarray | None, items: Sequence[Item]) -> tuple[np.ndarray, np.ndarray]:
    assert logits is not None
    logits = logits.astype(np.float64)
    shifted = logits - logits.max(-1, keepdims=True)
    logp = shifted - np.log(np.exp(shifted).sum(-1, keepdims=True))
    losses, right = [], []
    start = 0
    for item in items:
        rows = slice(start, start + item.positions - 1)
        target = item.payload[1:]
        losses.append(-logp[rows][np.arange(len(target)), target])
        right.append(logp[rows].argmax(-1) == target)
        start += item.positions
    return np.concatenate(losses), np.concatenate(right)


def _usage(family: TransformerFamily, grids: dict[str, CodeGrid], into: Measures) -> None:
    """Dead codes of every codebook and of all together."""
    dead = total = positions = 0
    for info in family.codebooks():
        codes = grids[info.site].codes
        used = len(np.unique(codes[codes >= 0]))
        positions = len(codes)
        text = f"share of the {info.num_codes} codes of {info.site} that no held-out position chose"
        into.add(f"dead_code_fraction.{info.site}", 1 - used / info.num_codes, positions, text)
        dead += info.num_codes - used
        total += info.num_codes
    if total:
        into.add(
            "dead_code_fraction", dead / total, positions, f"share of all {total} codes that no held-out position chose"
        )


def _transitions(family: TransformerFamily, into: Measures, seed: int, count: int) -> None:
    machine = machine_of(family)
    states = machine.decode(sample_walks(family, count, seed))
    valid = machine.valid_transitions(states)
    into.add(
        "transition_accuracy",
        valid.mean(),
        valid.size,
        f"share of all transitions in {count} full-length samples (from BOS, temperature 1) that the machine has",
    )
    into.add("first_transition_accuracy", valid[:, 0].mean(), count, "the same for the first transition of each sample")


def _state_codes(
    family: TransformerFamily,
    items: Sequence[Item],
    grids: dict[str, CodeGrid],
    neurons: dict[str, np.ndarray],
    into: Measures,
    seed: int,
    count: int,
) -> None:
    machine = machine_of(family)
    infos = family.codebooks()
    truth = truth_in(machine, items)
    half = np.repeat(np.arange(len(items)) % 2, [item.positions for item in items])
    found = codes_by_state(family, items, half, grids)
    tested = int((half == 1).sum())
    layers = [i for i in infos if i.place == "mlp"] or infos
    best = max(layers, key=lambda i: found[i.site].precision.mean() + found[i.site].recall.mean())
    hidden = [n for n in neurons if n.startswith(f"L{best.layer}.")]
    for info in infos:
        share, codes = purity(grids[info.site].codes, truth, info.num_codes)
        text = f"share of the codes of {info.site} that fire at least twice at last digits and for one state only"
        into.add(f"purity.{info.site}", share, codes, text)
    for info in layers:
        result = found[info.site]
        text = f"mean over {machine.states} states, codes of {info.site} assigned on the other half, over all positions"
        into.add(f"state_code_precision.{info.site}", result.precision.mean(), tested, "precision, " + text)
        into.add(f"state_code_recall.{info.site}", result.recall.mean(), tested, "recall, " + text)
    result = found[best.site]
    where = f"best layer {best.site}; assigned on one half of the items, tested on the other, over all positions"
    into.add(
        "state_code_precision", result.precision.mean(), tested, f"mean over states, all codes of a state; {where}"
    )
    into.add("state_code_recall", result.recall.mean(), tested, f"mean over states, all codes of a state; {where}")
    into.add(
        "state_code_single_precision",
        result.single_precision.mean(),
        tested,
        f"most frequent code of a state alone; {where}",
    )
    into.add(
        "state_code_single_recall", result.single_recall.mean(), tested, f"most frequent code of a state alone; {where}"
    )
    rng = np.random.default_rng((seed, 5))
    part = half == 1
    random, shuffled = (
        wrong_code_precision(grids[best.site].codes[part], truth[part], result.main[:, 0], kind, rng)
        for kind in ("random", "shuffled")
    )
    into.add("state_code_precision_random_code", random, tested, f"control: a random live code per state; {where}")
    into.add(
        "state_code_precision_shuffled_map",
        shuffled,
        tested,
        f"control: the states' codes shuffled among them; {where}",
    )
    activations = np.concatenate([neurons[name] for name in hidden], axis=1)
    rival = neuron_precision(activations, truth, half, result.recall, machine.states)
    text = (
        f"best of {activations.shape[1]} neurons ({', '.join(hidden)}, either sign), chosen on one half, "
        "at the recall of the codes on the other"
    )
    into.add("neuron_precision", rival.mean(), tested, text)
    into.add(
        "state_code_precision_above_neuron",
        (result.precision - rival).mean(),
        tested,
        f"state_code_precision minus {text}",
    )
    _beliefs(family, found, grids, into, seed, count)


def _beliefs(
    family: TransformerFamily,
    found: Mapping[str, StateCodes],
    grids: dict[str, CodeGrid],
    into: Measures,
    seed: int,
    count: int,
) -> None:
    """Jensen-Shannon divergence to the target state's next-token distribution after forcing the target's codes."""
    machine = machine_of(family)
    infos = family.codebooks()
    patches = make_patches(machine, count, HELD_OUT_SEED + seed)
    before = next_token(family, patches.tokens_a)
    target = next_token(family, patches.tokens_b)
    unpatched = jensen_shannon(before, target).mean()
    main = {site: result.main for site, result in found.items()}
    live = {i.site: np.unique(grids[i.site].codes[grids[i.site].codes >= 0]) for i in infos}
    rng = np.random.default_rng((seed, 11))
    shuffle = rng.permutation(machine.states)

    def report(name: str, forced: dict[str, np.ndarray], what: str) -> None:
        value = jensen_shannon(next_token(family, patches.tokens_a, forced), target).mean()
        text = f"{what} forced at the last digit of a state A; divergence of the next token to that after state B, {count} pairs"
        into.add(f"jsd_{name}_raw", value, count, f"{text}; nats, at most 0.693")
        into.add(f"jsd_{name}_normalized", value / unpatched, count, f"{text}; divided by that without forcing")

    into.add("jsd_none_raw", unpatched, count, "divergence of the next token after state A to that after state B, nats")
    sets = {"all": sites_at(infos)}
    for place, label in (("mlp", "all_mlp"), ("attn", "all_attn")):
        if sites_at(infos, place):
            sets[label] = sites_at(infos, place)
    for layer in sorted({i.layer for i in infos if i.layer is not None}):
        sets[f"layer{layer}"] = sites_at(infos, layer=layer)
        for place in ("mlp", "attn"):
            if sites_at(infos, place, layer):
                sets[f"layer{layer}_{place}"] = sites_at(infos, place, layer)
    for name, sites in sets.items():
        report(name, {s: main[s][patches.b] for s in sites}, f"B's own codes of {len(sites)} codebooks ({name})")
    control = sites_at(infos, "mlp") or sites_at(infos)
    kind = "MLP" if sites_at(infos, "mlp") else "all"
    report(
        "random_code",
        {s: rng.choice(live[s], (count, main[s].shape[1])) for s in control},
        f"control: random live codes ({kind})",
    )
    report("wrong_state", {s: main[s][patches.c] for s in control}, f"control: the codes of a third state C ({kind})")
    report(
        "shuffled_map", {s: main[s][shuffle[patches.b]] for s in control}, f"control: codes by a shuffled map ({kind})"
    )
