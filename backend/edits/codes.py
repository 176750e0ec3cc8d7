"""Changes to the codes of a forward pass, and the one form in which commands and addresses write them."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Literal

from backend.errors import BadInput

Action = Literal["force", "ban", "zero", "blend", "add"]
SLOTTED: tuple[Action, ...] = ("force", "zero", "blend")  # what may be done in one of the k slots
MOVES: tuple[Action, ...] = ("blend", "add")  # what moves an output by a strength, and leaves the choice of codes
Where = str | tuple[int, ...]
STRONGEST = 1.5  # a strength, so that a slider has an end
MAX_PLACES = 100_000  # positions that one edit may name
EVERY_NEW = 10_000_000  # new tokens: more than any `generated:N` can say
_GENERATED = re.compile(r"generated(?::([1-9]\d{0,6}))?", re.ASCII)


@dataclass(frozen=True)
class Edit:
    """One change to the codes of a forward pass.

    Attributes:
        site: the codebook.
        code: the code that is forced, banned, zeroed, blended in or added; -1 with `force` empties the slot.
        action: `force` puts the code in place of the chosen ones; `ban` makes it lose (the next best fills in); `zero`
            leaves an empty slot where it was chosen (a zero vector that still counts in a mean over k codes);
            `blend` moves the layer's output from what was chosen towards the code: `(1 - s) * chosen + s * code`;
            `add` leaves the choice as it is and adds the code to the output: `chosen + s * code`.
        strength: s of `blend` and `add`, 0 to 1.5; `force` is blend at 1, with the ids changed too.
        where: `all`, `prompt`, `generated`, `generated:N` (the first N new tokens, at least 1), or a tuple of positions
            counted from the first token; negative ones count from the end of the prompt (-1 is its last token).
        slot: which of the k slots is replaced by `force`, `blend` and `zero`; None replaces all.
    """

    site: str
    code: int
    action: Action = "force"
    strength: float = 1.0
    where: Where = "all"
    slot: int | None = None

    def __str__(self) -> str:
        what = {
            "force": "",
            "ban": ":ban",
            "zero": ":zero",
            "blend": f":{_number(self.strength)}",
            "add": f":+{_number(self.strength)}",
        }[self.action]
        return (
            f"{self.site}:{self.code}{what}"
            + ("" if self.where == "all" else f"@{self.written_where}")
            + ("" if self.slot is None else f"#{self.slot}")
        )

    @property
    def has_strength(self) -> bool:
        """Whether it can be made stronger and weaker."""
        return self.action in ("force", *MOVES) and self.code >= 0

    def with_strength(self, strength: float) -> Edit:
        """Return the edit at another strength: an `add` adds, else 1 forces and anything else blends.

        A ban, a zero and an emptied slot have no strength.
        """
        if not self.has_strength:
            return self
        action: Action = "add" if self.action == "add" else "force" if strength == 1 else "blend"
        return replace(self, action=action, strength=strength)

    def scaled(self, share: float) -> Edit:
        """Return the edit at a share of its strength, 1.5 at most."""
        return self.with_strength(min(STRONGEST, share * self.strength))

    @property
    def written_where(self) -> str:
        """`where` as `parse` reads it, three and more positions in a row as a range: `3,5..9`."""
        if isinstance(self.where, str):
            return self.where
        runs: list[list[int]] = []  # first and last of each
        for position in self.where:
            if runs and position == runs[-1][1] + 1:
                runs[-1][1] = position
            else:
                runs.append([position, position])
        return ",".join(
            f"{first}..{last}" if last - first > 1 else ",".join(map(str, range(first, last + 1)))
            for first, last in runs
        )

    @classmethod
    def parse(cls, text: str) -> Edit:
        """Read `SITE:CODE[:STRENGTH|:+STRENGTH|:ban|:zero][@WHERE][#SLOT]`, the form of commands and URLs; `str(edit)` writes it.

        `WHERE` is `all`, `prompt`, `generated`, `generated:40` (the first 40 new tokens) or positions such as `3`, `-1`,
        `2,5` or `4..9` (both ends included), at most `MAX_PLACES` of them.
        A strength of 1 is a force, one with a plus is added.

        Raises:
            BadInput: the text has another form, the strength is out of range, positions run backwards or are too many, or a
                ban or an addition names a slot.
        """
        match = re.fullmatch(
            r"([\w./-]{1,200}):(-1|\d{1,9})(?::(ban|zero|\+?[0-9.]{1,12}))?(?:@([\w,.:-]{1,20000}))?(?:#(\d{1,4}))?",
            text.strip(),
            re.ASCII,
        )
        if match is None:
            raise BadInput(
                f"{text[:80]!r} is not an edit. Write SITE:CODE, SITE:CODE:STRENGTH, SITE:CODE:+STRENGTH, SITE:CODE:ban or "
                "SITE:CODE:zero, "
                "with @all, @prompt, @generated, @generated:N or @positions behind it, e.g. L1.mlp:417:0.8@generated."
            )
        action: Action = "force"
        strength = 1.0
        if match[3] in ("ban", "zero"):
            action = match[3]  # type: ignore[assignment]
        elif match[3] is not None:
            try:
                strength = float(match[3])
            except ValueError:
                raise BadInput(f"{match[3]!r} is not a strength. Give a number from 0 to {STRONGEST}.") from None
            if not 0 <= strength <= STRONGEST:
                raise BadInput(f"Strength {strength:g} is out of range. Give a number from 0 to {STRONGEST}.")
            action = "add" if match[3].startswith("+") else "force" if strength == 1 else "blend"
        if match[5] is not None and action not in SLOTTED:
            raise BadInput(f"{text[:80]!r}: a ban and an addition concern all slots. Leave out #{match[5]}.")
        return cls(
            site=match[1],
            code=int(match[2]),
            action=action,
            strength=strength,
            where=_parse_where(match[4] or "all"),
            slot=None if match[5] is None else int(match[5]),
        )


@dataclass(frozen=True)
class HeldNeuron:
    """One neuron that is held near a value in a forward pass: the rival of an edit.

    Attributes:
        site: `L1.mlp`, a feed-forward block's output, or `L1.attn`, the outputs of its heads side by side; codebooks that
            sit there have already done their work.
        number: which value of the activation.
        value: what it is moved to: `(1 - strength) * x + strength * value`, as a blend moves towards a code.
        strength: 1 holds it there.
        where: as of an `Edit`.
    """

    site: str
    number: int
    value: float
    strength: float = 1.0
    where: Where = "all"

    def __str__(self) -> str:
        return f"{self.site}/{self.number}={self.value:.3g}"


def first_generated(where: Where) -> int | None:
    """Return how many new tokens `generated` or `generated:N` means: `EVERY_NEW` for all, None for other places."""
    match = _GENERATED.fullmatch(where) if isinstance(where, str) else None
    return None if match is None else int(match[1] or EVERY_NEW)


def check_positions(edits: Iterable[Edit], longest: int, what: str) -> None:
    """See that every position that an edit names is there.

    Args:
        edits: the edits.
        longest: how many positions the longest item has.
        what: what has them: `tokens in a text`, `cells in a picture`.

    Raises:
        BadInput: one lies outside of all items, where its edit would do nothing.
    """
    for edit in edits:
        outside = [] if isinstance(edit.where, str) else [at for at in edit.where if not -longest <= at < longest]
        if outside:
            raise BadInput(
                f"{str(edit)[:80]} names position {outside[0]}, but there are at most {longest:,} {what}. "
                f"Give positions from 0 to {longest - 1}, or from -1, the last, to -{longest}."
            )


def _number(value: float) -> str:
    return f"{value:.6f}".rstrip("0").rstrip(".") or "0"


def _parse_where(text: str) -> Where:
    if text in ("all", "prompt") or first_generated(text) is not None:
        return text
    positions: list[int] = []
    for part in text.split(","):
        match = re.fullmatch(r"(-?\d{1,7})(?:\.\.(-?\d{1,7}))?", part)
        if match is None:
            raise BadInput(
                f"{text[:80]!r} is not a place. Write all, prompt, generated, generated:40, 3, -1, 2,5 or 4..9."
            )
        first, last = int(match[1]), int(match[2] or match[1])
        if last < first:
            raise BadInput(f"The positions {part!r} run backwards. Write the smaller one first, e.g. 4..9.")
        if len(positions) + last - first >= MAX_PLACES:  # before they are listed: `0..9999999` is short to write
            raise BadInput(
                f"The positions {text[:80]!r} are too many: an edit may name {MAX_PLACES:,}. Write all, or fewer."
            )
        positions.extend(range(first, last + 1))
    return tuple(positions)
