"""Make a model believe that its machine is in another state (Tamkin et al., section 3.2), for pages.

Each state's codes are the ones that every codebook chose most often when that state had just been read, counted over
`REFERENCE_ITEMS` walks once per model.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass, replace
from weakref import WeakKeyDictionary

import numpy as np
import pandas as pd
import torch

from backend.analysis.seeds import stream
from backend.analysis.states import StateCodes, jensen_shannon
from backend.answers.live import Belief
from backend.data.machines import Machine
from backend.edits.codes import STRONGEST, Action, Edit
from backend.errors import BadInput, UnknownCode
from backend.families.transformer.machines import codes_by_state, machine_of, next_state, next_token
from backend.families.transformer.model import TransformerFamily
from backend.nn.sampling import Sampler

REFERENCE_ITEMS = 256
TRUE_WALKS = 8  # what the model expects in B is the mean over so many walks that really end there
_known: WeakKeyDictionary[TransformerFamily, list[dict[str, StateCodes]]] = WeakKeyDictionary()
_counting = threading.Lock()


@dataclass(frozen=True)
class Wish:
    """What a model is to believe.

    Attributes:
        target: the state, as its digits.
        at: which state of the walk it replaces, from 0, or from the end if negative.
        places: kinds of codebooks that are edited at the state's last digit, of `mlp`, `attn` and what else the model has.
        layers: only these layers; empty means all.
        strength: 1 forces the codes, less blends them in, up to 1.5.
        hold: also edit attention at the following digits, until the next state is written. Without it the model reads
            the true digits again as soon as it has written the first digit of the next state.
    """

    target: str
    at: int = -1
    places: tuple[str, ...] = ("mlp",)
    layers: tuple[int, ...] = ()
    strength: float = 1.0
    hold: bool = True


def reference_codes(family: TransformerFamily) -> list[dict[str, StateCodes]]:
    """Work out the state codes of every codebook, counted once per loaded model.

    The first entry is for a state's last digit, the others for each digit of the next state but the last.
    """
    with _counting:
        if family not in _known:
            items = family.items(0, REFERENCE_ITEMS, 0)
            half = np.repeat(np.arange(len(items)) % 2, [item.positions for item in items])
            grids = family.encode(items).grids
            digits = machine_of(family).digits
            _known[family] = [codes_by_state(family, items, half, grids, after) for after in range(digits)]
        return _known[family]


def state_number(machine: Machine, name: str) -> int:
    """Return a state's number from its digits.

    Raises:
        BadInput: the machine has no such state.
    """
    digits = machine.parse(name)[1:]
    state = int((digits * machine.base ** np.arange(len(digits) - 1, -1, -1)).sum()) if len(digits) else -1
    if len(digits) > machine.digits or not 0 <= state < machine.states:
        raise BadInput(
            f"There is no state {name[:40]!r}: give one from {machine.name(0)} to {machine.name(machine.states - 1)}."
        )
    return state


def wish_edits(family: TransformerFamily, states: Sequence[int], position: int, wish: Wish) -> list[Edit]:
    """Make the edits of a wish at one position (counted from BOS, which is 0).

    Args:
        family: the model.
        states: whose codes are put in at the state's last digit and, with `hold`, at each digit behind it; all the same but
            for controls. One number a digit of the machine.
        position: of the last digit.
        wish: places, layers, strength and hold; its target is not looked at.

    Raises:
        UnknownCode: the model has no codebooks there.
    """
    if not 0 <= wish.strength <= STRONGEST:
        raise BadInput(f"Strength {wish.strength:g} is out of range. Give a number from 0 to {STRONGEST}.")
    edits: list[Edit] = []
    for after, (codes_of, state) in enumerate(zip(reference_codes(family), states, strict=True)):
        if after and not wish.hold:
            break
        for info in family.codebooks():
            if info.place not in (("attn", "attn_out") if after else wish.places):
                continue
            if wish.layers and info.layer not in wish.layers:
                continue
            for slot, code in enumerate(codes_of[info.site].main[state]):
                if code >= 0:
                    action: Action = "force" if wish.strength == 1 else "blend"
                    which = slot if info.slots > 1 else None
                    edits.append(Edit(info.site, int(code), action, wish.strength, (position + after,), which))
    if not any(edit.where == (position,) for edit in edits):
        raise UnknownCode(
            f"There is no codebook at {', '.join(wish.places) or 'no place'} in layers {list(wish.layers) or 'all'} "
            f"of {family.spec.name}."
        )
    return edits


def believe(
    family: TransformerFamily, walk: str, wish: Wish, *, samples: int = 20, new_states: int = 5, seed: int = 0
) -> Belief:
    """Make a model whose walk is in state A believe that it is in B.

    Args:
        family: the model.
        walk: states read, as digits; whole states only.
        wish: what to believe, where and how strongly. The model still reads all of the walk.
        samples: continuations sampled.
        new_states: states in each.
        seed: of the samples and controls.

    Raises:
        BadInput: the walk is not one, is too long, or there is no such state.
        UnknownCode: the model has no codebooks at those places.
    """
    machine = machine_of(family)
    tokens = machine.parse(walk)
    family.check(tokens)
    states = machine.decode(tokens[None])[0]
    if len(tokens) == 1 or (len(tokens) - 1) % machine.digits or (states < 0).any():
        example = f"{machine.name(17 % machine.states)} {machine.name(1)}"
        raise BadInput(f"Write whole states of {machine.digits} digits each, e.g. {example}.")
    if not -len(states) <= wish.at < len(states):
        raise BadInput(f"The walk has {len(states)} states; there is none at {wish.at}.")
    if len(tokens) + machine.digits > family.context:
        raise BadInput(f"The walk is too long: {family.context} tokens fit, and a next state needs {machine.digits}.")
    if not 1 <= samples <= 1000 or new_states < 1:
        raise BadInput("Give 1 to 1,000 samples of at least one state.")
    at = wish.at % len(states)
    actual, wanted = int(states[at]), state_number(machine, wish.target)
    position = (at + 1) * machine.digits
    rng = stream(seed, "walks of a belief")
    truly = np.repeat(tokens[None], TRUE_WALKS, 0)
    for row in truly:
        row[1 : position + 1] = machine.written[machine.walk_to(wanted, at + 1, rng)].reshape(-1)
    before, real = next_state(family, tokens[None])[0], next_state(family, truly).mean(0)
    token_before, token_real = next_token(family, tokens[None])[0], next_token(family, truly).mean(0)
    unpatched = float(jensen_shannon(_whole(before), _whole(real)))
    token_unpatched = float(jensen_shannon(token_before, token_real))

    def outcome(edits: Sequence[Edit]) -> tuple[np.ndarray, float, float]:
        after = next_state(family, tokens[None], edits)[0]
        token = next_token(family, tokens[None], edits=edits)[0]
        whole = float(jensen_shannon(_whole(after), _whole(real)))
        return after, whole, float(jensen_shannon(token, token_real)) / max(token_unpatched, 1e-12)

    edits = wish_edits(family, [wanted] * machine.digits, position, wish)
    after, divergence, token_normalized = outcome(edits)
    others = [s for s in range(machine.states) if s not in (wanted, actual)] or [wanted]
    third = int(rng.choice(others))
    controls = []
    for name, used in (
        ("random codes", [replace(e, code=_random_code(family, e, rng)) for e in edits]),
        (
            f"codes of a third state, {machine.name(third)}",
            wish_edits(family, [third] * machine.digits, position, wish),
        ),
    ):
        _, whole, token = outcome(used)
        controls.append((name, whole / max(unpatched, 1e-12), token))
    continuing = _Continuing(family, tokens, actual, wanted, samples, new_states, seed)
    names = [machine.name(s) for s in range(machine.states)]
    last = at == len(states) - 1
    return Belief(
        walk=[names[s] for s in states],
        actual=names[actual],
        target=names[wanted],
        edits=edits,
        next=pd.DataFrame(
            {
                "state": names,
                "before": before,
                "after": after,
                "target": real,
                "from_actual": machine.transitions[actual if last else int(states[-1])],
                "from_target": machine.transitions[wanted if last else int(states[-1])],
            }
        ),
        divergence=divergence,
        unpatched=unpatched,
        normalized=divergence / max(unpatched, 1e-12),
        token_normalized=token_normalized,
        controls=pd.DataFrame(controls, columns=["control", "normalized", "token_normalized"]),
        continued=continuing.sample(edits),
        continued_before=continuing.sample(()),
    )


def _random_code(family: TransformerFamily, edit: Edit, rng: np.random.Generator) -> int:
    """Draw a random code of the edit's codebook that some state uses, but not the edit's own."""
    live = np.unique(reference_codes(family)[0][edit.site].main)
    live = live[(live >= 0) & (live != edit.code)]
    return int(rng.choice(live)) if len(live) else edit.code


def _whole(p: np.ndarray) -> np.ndarray:
    """Return probabilities of the states and, last, of everything that is not a state."""
    return np.append(p, max(0.0, 1.0 - p.sum()))


@dataclass(frozen=True)
class _Continuing:
    """How a walk is gone on with.

    Attributes:
        family: the model.
        tokens: int64 `[length]`, what was read.
        actual, wanted: numbers of the states A and B.
        samples, new_states: how many continuations, of how many states.
        seed: of the samples.
    """

    family: TransformerFamily
    tokens: np.ndarray
    actual: int
    wanted: int
    samples: int
    new_states: int
    seed: int

    def sample(self, edits: Sequence[Edit]) -> pd.DataFrame:
        """Return sampled continuations, checked against the machine: the columns of `Belief.continued`."""
        family, machine, length = self.family, machine_of(self.family), len(self.tokens)
        steps = min(self.new_states * machine.digits, family.context - length) // machine.digits * machine.digits
        rows = torch.from_numpy(np.repeat(self.tokens[None], self.samples, 0)).to(family.device)
        sampler, ready = Sampler(family.model.model, rows, seed=self.seed), family.model.ready(edits)
        for _ in range(steps):
            with family.model.session(ready, prompt_length=length):
                sampler.step()
        written = sampler.tokens.cpu().numpy()
        new = np.concatenate((written[:, :1], written[:, length:]), axis=1)  # BOS in front, as decode expects
        states = machine.decode(new)
        valid = machine.valid_transitions(states)
        first = states[:, 0]
        good = first >= 0
        return pd.DataFrame(
            {
                "text": [machine.render(row[1:])[0].strip() for row in new],
                "first": [
                    machine.name(s) if s >= 0 else machine.render(row[1 : 1 + machine.digits])[0]
                    for s, row in zip(first, new, strict=True)
                ],
                "valid_from_target": good & machine.transitions[self.wanted][first],
                "valid_from_actual": good & machine.transitions[self.actual][first],
                "rest_valid": valid.sum(1),
                "rest": valid.shape[1],
            }
        )
