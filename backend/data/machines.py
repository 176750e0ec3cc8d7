"""TokFSM: random walks on a finite-state machine, written as digits (Tamkin et al., section 3).

The machine has N states; each has E distinct successors, drawn with `numpy.random.default_rng(seed).choice` row by row,
all equally likely. A walk starts anywhere, uniformly. A state is written as its number in base b, most significant
digit first, all states with the same number of digits; a BOS token stands in front. Token ids 0 to b-1 are the digits,
b is BOS. As in the paper an item is BOS and the walk's digits, cut off at `length` tokens.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from backend.data.source import DataSource, Option, Settings
from backend.errors import BadInput, CatalogError
from backend.types import Item

DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"
BOS_TEXT = "<bos>"
SETTINGS = ("states", "edges", "base", "seed", "length")


@dataclass(frozen=True)
class Machine:
    """A random finite-state machine and its text.

    Attributes:
        states: N, at least 2.
        edges: E successors of every state, 1 to N.
        base: b of the digits, 2 to 36.
        seed: of the transitions.
        length: tokens of an item, BOS included.
    """

    states: int = 100
    edges: int = 10
    base: int = 10
    seed: int = 42
    length: int = 128

    def __post_init__(self) -> None:
        if not (2 <= self.states <= 100_000 and 1 <= self.edges <= self.states and 2 <= self.base <= 36):
            raise CatalogError(
                f"A machine of {self.states} states, {self.edges} edges and base {self.base} cannot be made: "
                "it needs 2 to 100,000 states, 1 to N edges and a base from 2 to 36."
            )
        if self.length < 1 + 2 * self.digits:
            raise CatalogError(f"Items of {self.length} tokens are too short: two states need {1 + 2 * self.digits}.")

    @classmethod
    def from_settings(cls, settings: Mapping[str, Any]) -> Machine:
        """Read the `[dataset]` of a catalog file; an unknown key is a `CatalogError`."""
        values = {k: v for k, v in settings.items() if k != "name"}
        if unknown := sorted(values.keys() - {*SETTINGS}):
            raise CatalogError(f"Unknown settings {unknown} of the tokfsm data set; known: {sorted(SETTINGS)}.")
        if bad := sorted(k for k, v in values.items() if not isinstance(v, int)):
            raise CatalogError(f"Settings {bad} of the tokfsm data set must be whole numbers.")
        return cls(**values)

    @property
    def settings(self) -> dict[str, Any]:
        """The `[dataset]` that makes this machine."""
        return {"name": SOURCE.name, **{key: getattr(self, key) for key in SETTINGS}}

    @cached_property
    def digits(self) -> int:
        """Digits of a state."""
        count = 1
        while self.base**count < self.states:
            count += 1
        return count

    @property
    def vocabulary(self) -> int:
        """Number of tokens: the digits and BOS."""
        return self.base + 1

    @property
    def bos(self) -> int:
        """Token id of BOS."""
        return self.base

    @cached_property
    def successors(self) -> np.ndarray:
        """int64 `[N, E]`: where each state may go."""
        rng = np.random.default_rng(self.seed)
        return np.stack([rng.choice(self.states, self.edges, replace=False) for _ in range(self.states)])

    @cached_property
    def transitions(self) -> np.ndarray:
        """bool `[N, N]`: whether the machine goes from row to column."""
        table = np.zeros((self.states, self.states), dtype=bool)
        np.put_along_axis(table, self.successors, True, axis=1)
        return table

    @cached_property
    def written(self) -> np.ndarray:
        """int64 `[N, digits]`: the digits of each state, most significant first."""
        powers = self.base ** np.arange(self.digits - 1, -1, -1)
        return np.arange(self.states)[:, None] // powers % self.base

    # -- walks and items -------------------------------------------------------------------------------------------

    @property
    def walk_length(self) -> int:
        """States of which an item shows at least the first digit."""
        return -(-(self.length - 1) // self.digits)

    def walk(self, rng: np.random.Generator, count: int) -> np.ndarray:
        """Draw random walks.

        Returns:
            States int64 `[count, walk_length]`.
        """
        walk = np.empty((count, self.walk_length), dtype=np.int64)
        walk[:, 0] = rng.integers(self.states, size=count)
        return self._follow(walk, rng.integers(self.edges, size=(count, self.walk_length)))

    def _follow(self, walk: np.ndarray, choices: np.ndarray) -> np.ndarray:
        """Fill in walks `[count, walk_length]` from their first states by which successor each step takes."""
        for step in range(1, self.walk_length):
            walk[:, step] = self.successors[walk[:, step - 1], choices[:, step]]
        return walk

    def walk_to(self, state: int, length: int, rng: np.random.Generator) -> np.ndarray:
        """Draw a walk of the machine that ends in a state, from its end to its start.

        Where a state has no predecessor the walk starts anew before it.

        Returns:
            States int64 `[length]`.
        """
        walk = [state]
        for _ in range(length - 1):
            before = np.flatnonzero(self.transitions[:, walk[-1]])
            walk.append(int(rng.choice(before)) if len(before) else int(rng.integers(self.states)))
        return np.array(walk[::-1], dtype=np.int64)

    def tokens(self, walk: np.ndarray) -> np.ndarray:
        """Write walks `[count, walk_length]` as token ids int64 `[count, length]`."""
        digits = self.written[walk].reshape(len(walk), -1)[:, : self.length - 1]
        return np.concatenate((np.full((len(walk), 1), self.bos), digits), axis=1)

    def items(self, start: int, stop: int, seed: int) -> list[Item]:
        """Make items `start` to `stop`; item i depends on `seed` and i alone.

        Labels: `state`: the state that the position writes; `digit`: which of its digits, from 1; `state read`: the
        state, at its last digit only, where the machine's state is known; `next state`: there too, where the walk goes
        on to.
        """
        if stop <= start:
            return []
        walks = np.empty((stop - start, self.walk_length), dtype=np.int64)
        choices = np.empty_like(walks)
        # One generator an item, so that an item is the same whatever range it is asked in; drawn as `walk` draws a single walk.
        for row, index in enumerate(range(start, stop)):
            rng = np.random.default_rng((seed, index))
            walks[row, 0] = rng.integers(self.states, size=1)[0]
            choices[row] = rng.integers(self.edges, size=(1, self.walk_length))[0]
        return self._label(start, self._follow(walks, choices))

    def _label(self, start: int, walks: np.ndarray) -> list[Item]:
        """Turn walks `[count, walk_length]`, at least one, into items from number `start` on."""
        ids = self.tokens(walks)
        shown = self.length - 1
        _, spans = self.render(ids[0])
        spans.flags.writeable = False  # shared: the digits of all items stand at the same places
        names = np.array([*(self.name(s) for s in range(self.states)), ""], dtype=object)  # the last: no state
        last = np.arange(shown) % self.digits == self.digits - 1
        # the state after the last one shown is not known: -1 is the empty name
        following = np.concatenate((walks[:, 1:], np.full((len(walks), 1), -1)), axis=1)
        states = np.repeat(walks, self.digits, axis=1)[:, :shown]  # [walk, position]; the last state may be cut off
        follow = np.repeat(following, self.digits, axis=1)[:, :shown]
        digit = ["", *(str(place % self.digits + 1) for place in range(shown))]
        values = [
            names[np.pad(part, ((0, 0), (1, 0)), constant_values=-1)].tolist()
            for part in (states, np.where(last, states, -1), np.where(last, follow, -1))
        ]
        items = []
        for row, walk in enumerate(names[walks].tolist()):
            text = " ".join([BOS_TEXT, *walk])[: int(spans[-1, 1])]
            labels = {
                "state": values[0][row],
                "digit": list(digit),
                "state read": values[1][row],
                "next state": values[2][row],
            }
            items.append(Item(start + row, (self.length,), ids[row], text, spans, labels, {"start state": walk[0]}))
        return items

    # -- text ------------------------------------------------------------------------------------------------------

    def name(self, state: int) -> str:
        """Write a state as its digits, e.g. `07`."""
        return "".join(DIGITS[d] for d in self.written[state])

    def render(self, ids: Sequence[int] | np.ndarray) -> tuple[str, np.ndarray]:
        """Write token ids as text with a space before each state.

        Returns:
            The text, and int64 `[T, 2]`: the characters of each token in it.
        """
        parts: list[str] = []
        spans = np.zeros((len(ids), 2), dtype=np.int64)
        end = digit = 0
        for i, token in enumerate(ids):
            piece = BOS_TEXT if token == self.bos else DIGITS[token]
            gap = " " if i and (token == self.bos or digit % self.digits == 0) else ""
            digit = 0 if token == self.bos else digit + 1
            parts.append(gap + piece)
            spans[i] = end + len(gap), end + len(gap) + len(piece)
            end = spans[i, 1]
        return "".join(parts), spans

    def parse(self, text: str) -> np.ndarray:
        """Read digits as token ids with BOS in front; spaces, commas and dashes are ignored, and BOS is optional.

        Raises:
            BadInput: another character; the message says which and where.
        """
        ids = [self.bos]
        # BOS becomes spaces of its own length, so that the place in the message is that in the text
        for position, character in enumerate(text.replace(BOS_TEXT, " " * len(BOS_TEXT)).lower()):
            digit = DIGITS.find(character)
            if 0 <= digit < self.base:
                ids.append(digit)
            elif not (character.isspace() or character in ",-"):
                raise BadInput(
                    f"{character!r} at character {position + 1} is not a digit of base {self.base}. "
                    f"Write states of {self.digits} digits, e.g. {self.name(17 % self.states)} {self.name(self.states - 1)}."
                )
        return np.array(ids, dtype=np.int64)

    # -- what is true ----------------------------------------------------------------------------------------------

    def decode(self, tokens: np.ndarray) -> np.ndarray:
        """Read the complete states of token ids.

        Args:
            tokens: `[count, T]`, each row starting with BOS.

        Returns:
            int64 `[count, complete states]`; -1 where the digits are not a state.
        """
        count = (tokens.shape[1] - 1) // self.digits
        digits = tokens[:, 1 : 1 + count * self.digits].reshape(len(tokens), count, self.digits)
        states = (digits * self.base ** np.arange(self.digits - 1, -1, -1)).sum(-1)
        valid = (digits < self.base).all(-1) & (states < self.states)
        return np.where(valid, states, -1)

    def valid_transitions(self, states: np.ndarray) -> np.ndarray:
        """Check each step of decoded states `[count, n]`.

        Returns:
            bool `[count, n-1]`: both states exist and the machine goes from the first to the second.
        """
        before, after = states[:, :-1], states[:, 1:]
        return (before >= 0) & (after >= 0) & self.transitions[before, after]

    @cached_property
    def digit_entropy(self) -> np.ndarray:
        """float64 `[N + 1, digits]`, nats: entropy of each digit of the next state given state and earlier digits.

        The last row is for the first state of a walk.
        """
        options = [*self.successors, np.arange(self.states)]
        table = np.zeros((self.states + 1, self.digits))
        for state, successors in enumerate(options):
            before = 0.0
            for digit in range(self.digits):
                prefixes = self.written[successors][:, : digit + 1]
                _, counts = np.unique(prefixes, axis=0, return_counts=True)
                p = counts / counts.sum()
                joint = float(-(p * np.log(p)).sum())
                table[state, digit] = joint - before  # chain rule: H(digit | earlier digits) = H(all) - H(earlier)
                before = joint
        return table

    @cached_property
    def loss_floor(self) -> float:
        """Nats per predicted token: the entropy of the process itself, which no model can go below on average."""
        share = np.full(self.states, 1 / self.states)
        step = self.transitions / self.edges
        terms: list[float] = list(self.digit_entropy[-1])
        while len(terms) < self.length - 1:  # `share` is where the walk is before this state, `[N]`
            terms.extend(share @ self.digit_entropy[:-1])
            share = share @ step
        return float(np.mean(terms[: self.length - 1]))


def _resolve(settings: Settings) -> Settings:
    try:
        return {key: value for key, value in Machine.from_settings(settings).settings.items() if key != "name"}
    except CatalogError as error:
        raise BadInput(str(error)) from error


def _slug(settings: Settings) -> str:
    """Name the data set, and what differs from the default: `tokfsm-n25-e4`."""
    letters = {"states": "n", "edges": "e", "base": "b"}
    changes = [f"{letter}{settings[key]}" for key, letter in letters.items() if settings[key] != getattr(Machine, key)]
    return "-".join([SOURCE.name, *changes])


SOURCE = DataSource(
    name="tokfsm",
    item="text",
    about="a finite-state machine: states written as digits",
    title="Finite-state machine of {states} states, {edges} edges",
    open=lambda settings, folder: Machine.from_settings(settings),
    capabilities=frozenset({"states"}),
    options=(
        Option("states", ("--states",), "states (100)", "N", least=1),
        Option("edges", ("--edges",), "successors of each state (10)", "E", least=1),
        Option("base", ("--base", "--base-digits"), "base of the digits (10)", "B", least=1),
        Option("seed", ("--machine-seed",), "of the transitions (42)", "S", least=0),
        Option("length", ("--length",), "tokens of an item (128)", least=1),
    ),
    resolve=_resolve,
    slug=_slug,
)
