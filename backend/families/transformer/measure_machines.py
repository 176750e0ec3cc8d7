"""What is measured of models of finite-state machines: transitions, state codes, forced states, each with its controls."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from backend.analysis.measures import Measures
from backend.analysis.seeds import HELD_OUT_SEED, stream
from backend.analysis.states import StateCodes, jensen_shannon, neuron_precision, purity, wrong_code_precision
from backend.families.transformer.machines import (
    codes_by_state,
    machine_of,
    make_patches,
    next_token,
    sample_walks,
    sites_at,
    truth_in,
)
from backend.families.transformer.model import TransformerFamily
from backend.types import CodeGrid, Item


def measure_transitions(family: TransformerFamily, into: Measures, seed: int, count: int) -> None:
    """Add the share of sampled transitions that the machine has."""
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


def measure_state_codes(
    family: TransformerFamily,
    items: Sequence[Item],
    grids: dict[str, CodeGrid],
    neurons: dict[str, np.ndarray],
    into: Measures,
    seed: int,
    count: int,
) -> None:
    """Add how codes classify states beside neurons, their purity, and what forcing a state's codes does, with controls."""
    machine = machine_of(family)
    infos = family.codebooks()
    truth = truth_in(machine, items)
    half = np.repeat(np.arange(len(items)) % 2, [item.positions for item in items])
    by_site = codes_by_state(family, items, half, grids)
    tested = int((half == 1).sum())
    layers = [i for i in infos if i.place == "mlp"] or infos
    best = max(layers, key=lambda i: by_site[i.site].precision.mean() + by_site[i.site].recall.mean())
    hidden = [n for n in neurons if n.startswith(f"L{best.layer}.")]
    for info in infos:
        share, codes = purity(grids[info.site].codes, truth, info.num_codes)
        text = f"share of the codes of {info.site} that fire at least twice at last digits and for one state only"
        into.add(f"purity.{info.site}", share, codes, text)
    for info in layers:
        result = by_site[info.site]
        text = f"mean over {machine.states} states, codes of {info.site} assigned on the other half, over all positions"
        into.add(f"state_code_precision.{info.site}", result.precision.mean(), tested, "precision, " + text)
        into.add(f"state_code_recall.{info.site}", result.recall.mean(), tested, "recall, " + text)
    result = by_site[best.site]
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
    rng = stream(seed, "wrong state codes")
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
    _beliefs(family, by_site, grids, into, seed, count)


def _beliefs(
    family: TransformerFamily,
    by_site: Mapping[str, StateCodes],
    grids: dict[str, CodeGrid],
    into: Measures,
    seed: int,
    count: int,
) -> None:
    """Add the Jensen-Shannon divergence to the target state's next-token distribution after forcing the target's codes."""
    machine = machine_of(family)
    infos = family.codebooks()
    patches = make_patches(machine, count, HELD_OUT_SEED + seed)
    before = next_token(family, patches.tokens_a)
    target = next_token(family, patches.tokens_b)
    unpatched = jensen_shannon(before, target).mean()
    main = {site: result.main for site, result in by_site.items()}
    live = {i.site: np.unique(grids[i.site].codes[grids[i.site].codes >= 0]) for i in infos}
    rng = stream(seed, "forced states")
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
