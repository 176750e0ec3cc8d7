"""Edits made ready for one model: seen to name what is there, and sorted by the codebook layers where they act.

Whoever edits token by token lets a model make them ready once a question, not once a token.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from backend.edits.codes import Edit, Where, first_generated
from backend.errors import UnknownCode
from backend.nn.insertion.bottleneck import CodebookLayer, PlacedEdit

Site = tuple[str, CodebookLayer, int]  # name of the codebook layer, the layer, the group
# bool `[row]` of a place in a forward pass; None: it has none of these positions
Rows = Callable[[Where], Tensor | None]


@dataclass
class Step:
    """One edit of a layer, or several at the same positions that act as one.

    Attributes:
        group: which codebook of the layer.
        edit: what to do.
        where: at which positions.
        codes: int64 `[slot]` of a force: the code of each slot, -2 leaves it.
        added: float `[dim / groups]` of an addition: the sum of strength x code.
    """

    group: int
    edit: Edit
    where: Where
    codes: Tensor | None = None
    added: Tensor | None = None


@dataclass(frozen=True, eq=False)
class ReadyEdits:
    """Edits that a model is known to have the codes for.

    Attributes:
        owner: the model.
        steps: name of a codebook layer -> what to do there, in order, additions last.
    """

    owner: object
    steps: Mapping[str, Sequence[Step]] = field(default_factory=dict)

    def placed(self, name: str, rows_of: Rows) -> list[PlacedEdit]:
        """Return what is to be done in one layer in one forward pass."""
        edits = []
        for step in self.steps.get(name, ()):
            if (rows := rows_of(step.where)) is not None:
                codes = None if step.codes is None else step.codes.expand(len(rows), -1)
                edits.append(PlacedEdit(step.group, step.edit, rows, codes, step.added))
        return edits


def make_ready(edits: Iterable[Edit], site_of: Callable[[str], Site], owner: object) -> ReadyEdits:
    """Check edits and sort them by layer.

    Codes that are forced one after the other at the same positions become one step, as do those that are added there.

    Args:
        edits: in the order in which they apply.
        site_of: a site's name -> where it is; raises `UnknownCode` for one that is not there.
        owner: the model.

    Raises:
        UnknownCode: an edit names a codebook, code or slot that is not there.
    """
    steps: dict[str, list[Step]] = {}
    added: dict[tuple[str, int, Where], list[Edit]] = {}
    tables: dict[str, CodebookLayer] = {}
    forcing: dict[tuple[str, int], Step] = {}  # the step that a next force of the group may join
    for edit in edits:
        name, layer, group = site_of(edit.site)
        _check(edit, layer)
        tables[name] = layer
        if edit.action == "add":
            added.setdefault((name, group, edit.where), []).append(edit)
            continue
        here = steps.setdefault(name, [])
        if edit.action != "force":
            here.append(Step(group, edit, edit.where))
            forcing.pop((name, group), None)  # a later force comes after this edit, so it may not join an earlier one
            continue
        step = forcing.get((name, group))
        if step is None or step.where != edit.where:
            nothing = torch.full((layer.config.k,), -2, dtype=torch.int64, device=layer.table.device)
            step = forcing[name, group] = Step(group, Edit(edit.site, 0), edit.where, codes=nothing)
            here.append(step)
        assert step.codes is not None
        step.codes[slice(None) if edit.slot is None else edit.slot] = edit.code
    for (name, group, where), together in added.items():
        table = tables[name].table.detach()[group]
        strengths = torch.tensor([edit.strength for edit in together], dtype=table.dtype, device=table.device)
        total = strengths @ table[[edit.code for edit in together]]
        steps.setdefault(name, []).append(Step(group, together[0], where, added=total))
    return ReadyEdits(owner, steps)


def _check(edit: Edit, layer: CodebookLayer) -> None:
    codes, slots = layer.config.codes, layer.config.k
    if not -1 <= edit.code < codes or (edit.code == -1 and edit.action != "force"):
        raise UnknownCode(f"Codebook {edit.site!r} has codes 0 to {codes - 1}; {edit.code} is not one.")
    if edit.slot is not None and not 0 <= edit.slot < slots:
        raise UnknownCode(f"Codebook {edit.site!r} has slots 0 to {slots - 1}; {edit.slot} is not one.")


def rows_at(positions: Tensor, where: Where, prompt: int | Tensor | None) -> Tensor:
    """Return which rows of a flattened batch are meant, bool `[row]`.

    Args:
        positions: int64 `[batch, length]`, of every token, counted from the first that is not padding.
        where: as of an `Edit`.
        prompt: tokens that count as the prompt, one number or int64 `[batch, 1]`; None: all are prompt.
    """
    if where == "all":
        rows = positions >= 0
    elif where == "prompt":
        rows = (positions >= 0) if prompt is None else (positions >= 0) & (positions < prompt)
    elif (new := first_generated(where)) is not None:
        rows = (
            torch.zeros_like(positions, dtype=torch.bool)
            if prompt is None
            else (positions >= prompt) & (positions < prompt + new)
        )
    else:
        length = int(positions.max()) + 1 if prompt is None else prompt
        places = torch.tensor(where, device=positions.device)
        rows = torch.isin(positions, places[places >= 0])
        # from the end of the prompt; padding is below 0 and never meant
        rows |= torch.isin(positions - length, places[places < 0]) & (positions >= 0)
    return rows.reshape(-1)
