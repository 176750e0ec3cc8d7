"""Running a codebook transformer on finite-state machines: sampling walks, and making it believe it is in another state.

Used by `evaluate` for numbers and by the live model for pages. torch stays inside; results are numpy.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from backend.analysis.seeds import numbered, stream
from backend.analysis.states import StateCodes, state_codes
from backend.data.machines import Machine
from backend.errors import Unsupported
from backend.families.transformer.model import TransformerFamily
from backend.nn.sampling import Sampler
from backend.types import CodebookInfo, CodeGrid, Edit, Item


def machine_of(family: TransformerFamily) -> Machine:
    """Return the machine that a model was trained on.

    Raises:
        Unsupported: it was trained on something else.
    """
    if not isinstance(family.dataset, Machine):
        raise Unsupported(f"{family.spec.name} was not trained on a finite-state machine.")
    return family.dataset


def sample_walks(family: TransformerFamily, count: int, seed: int, batch: int = 256) -> np.ndarray:
    """Write full-length samples at temperature 1 from BOS alone: token ids int64 `[count, length]`."""
    machine = machine_of(family)
    batches = []
    for start in range(0, count, batch):
        prompt = torch.full((min(batch, count - start), 1), machine.bos, device=family.device)
        sampler = Sampler(family.model.model, prompt, seed=numbered(seed, "sampled walks", start))
        for _ in range(machine.length - 1):
            sampler.step()
        batches.append(sampler.tokens)
    return torch.cat(batches).cpu().numpy()


@dataclass(frozen=True)
class Patches:
    """Walks that end in states A, and what the model is to believe instead.

    Attributes:
        tokens_a, tokens_b: int64 `[n, length]`: walks of equal length that end in states `a` and `b`.
        a, b, c: int64 `[n]`: true, target and some third state, all different.
    """

    tokens_a: np.ndarray
    tokens_b: np.ndarray
    a: np.ndarray
    b: np.ndarray
    c: np.ndarray


def make_patches(machine: Machine, count: int, seed: int) -> Patches:
    """Draw random pairs of walks, half an item long.

    Args:
        machine: the machine.
        count: pairs.
        seed: of everything.
    """
    rng = stream(seed, "pairs of walks")
    length = min(machine.walk_length // 2 + 1, (machine.length - 1) // machine.digits)
    walks_a = machine.walk(rng, count)[:, :length]
    walks_b = machine.walk(rng, count)[:, :length]
    while (same := walks_a[:, -1] == walks_b[:, -1]).any():
        walks_b[same] = machine.walk(rng, int(same.sum()))[:, :length]
    a, b = walks_a[:, -1], walks_b[:, -1]
    c = rng.integers(machine.states, size=count)
    while machine.states > 2 and (same := (c == a) | (c == b)).any():
        c[same] = rng.integers(machine.states, size=int(same.sum()))

    def tokens(walks: np.ndarray) -> np.ndarray:
        digits = machine.written[walks].reshape(count, -1)
        return np.concatenate((np.full((count, 1), machine.bos), digits), axis=1)

    return Patches(tokens(walks_a), tokens(walks_b), a, b, c)


@torch.no_grad()
def next_token(
    family: TransformerFamily,
    tokens: np.ndarray,
    forced: Mapping[str, np.ndarray] | None = None,
    edits: Sequence[Edit] = (),
) -> np.ndarray:
    """Return probabilities of the token after the last, float64 `[n, vocabulary]`.

    Args:
        family: the model.
        tokens: int64 `[n, length]`.
        forced: site -> int64 `[n, slots]`: the codes forced at the last position of each row; negative forces none.
        edits: further edits, the same for all rows.
    """
    ids = torch.from_numpy(tokens).to(family.device)
    grids = {}
    for site, codes in (forced or {}).items():
        grid = torch.full((*ids.shape, codes.shape[1]), -2, device=ids.device)
        grid[:, -1] = torch.from_numpy(np.where(codes < 0, -2, codes)).to(ids.device)
        grids[site] = grid
    with family.model.session(edits, prompt_length=ids.shape[1], forced=grids):
        logits = family.model.model(ids, use_cache=False).logits[:, -1]
    return logits.double().softmax(-1).cpu().numpy()


@torch.no_grad()
def next_state(family: TransformerFamily, tokens: np.ndarray, edits: Sequence[Edit] = ()) -> np.ndarray:
    """Return the probability of each state to be written next, after walks `[n, length]` of whole states: float64 `[n, states]`.

    The probability of a state is the product over its digits, each predicted with the digits before it in place; edits
    with positions count them from BOS and so stay where they are. What is missing to 1 went to digits that form no state.
    """
    machine = machine_of(family)
    prefixes, which = np.unique(machine.written[:, : machine.digits - 1], axis=0, return_inverse=True)
    rows = np.concatenate((np.repeat(tokens, len(prefixes), 0), np.tile(prefixes, (len(tokens), 1))), axis=1)
    with family.model.session(edits, prompt_length=tokens.shape[1]):
        logits = family.model.model(torch.from_numpy(rows).to(family.device), use_cache=False).logits
    chances = logits[:, -machine.digits :].double().softmax(-1).cpu().numpy()
    chances = chances.reshape(len(tokens), len(prefixes), machine.digits, -1)
    result = np.ones((len(tokens), machine.states))
    for digit in range(machine.digits):
        result *= chances[:, which.reshape(-1), digit, machine.written[:, digit]]
    return result


def codes_by_state(
    family: TransformerFamily,
    items: Sequence[Item],
    half: np.ndarray,
    grids: Mapping[str, CodeGrid],
    after: int = 0,
) -> dict[str, StateCodes]:
    """Work out the state codes of every codebook.

    Args:
        family: the model.
        items: walks; the first half decides.
        half: 0 or 1 `[P]`.
        grids: what encoding the items gave.
        after: look so many positions behind a state's last digit; 0 is that digit itself.
    """
    machine = machine_of(family)
    truth = truth_in(machine, items, after)
    return {
        info.site: state_codes(grids[info.site].codes, truth, half, info.num_codes, machine.states)
        for info in family.codebooks()
    }


def truth_in(machine: Machine, items: Sequence[Item], after: int = 0) -> np.ndarray:
    """Return int64 `[P]`: the state that was read completely `after` positions ago, -1 where none was."""
    numbers = {machine.name(state): state for state in range(machine.states)}
    parts = []
    for item in items:
        here = [numbers.get(name, -1) for name in item.labels["state read"]]
        parts.append(np.array(([-1] * after + here)[: len(here)], dtype=np.int64))
    return np.concatenate(parts) if parts else np.zeros(0, dtype=np.int64)


def sites_at(infos: Sequence[CodebookInfo], place: str = "", layer: int | None = None) -> list[str]:
    """Return names of the codebooks at a place and in a layer; empty and None mean any."""
    return [i.site for i in infos if (not place or i.place == place) and (layer is None or i.layer == layer)]
