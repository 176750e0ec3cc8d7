"""How activations pass the codebooks of a model. One mode is in force at a time, the plain one where nobody asks for another.

Mode         chosen and replaced: training and plain inference
Off          let through: the model without codebooks
Collecting   what reaches one codebook layer is handed out
Session      edits are in force, and what the codebooks chose is kept
Probing      a session that also gives the gradient by what every layer puts out
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from backend.edits.codes import Edit, Where
from backend.nn.insertion.bottleneck import CodebookLayer, PlacedEdit
from backend.nn.insertion.edits import ReadyEdits, rows_at
from backend.nn.quantize import Nearest


class Mode:
    """The plain one: every codebook layer puts codes in the activation's place."""

    def through(self, name: str, layer: CodebookLayer, x: Tensor, positions: Tensor) -> Tensor:
        """Return what goes on in the place of an activation.

        Args:
            name: of the codebook layer, `L0:attn` and so on.
            layer: the codebook layer.
            x: the activation, `[batch, length, dim]`; it is returned itself where it is let through.
            positions: int64 `[batch, length]`, counted from the first token that is not padding.
        """
        return layer(x)


class Off(Mode):
    """Every activation is let through."""

    def through(self, name: str, layer: CodebookLayer, x: Tensor, positions: Tensor) -> Tensor:
        """See `Mode`."""
        return x


@dataclass(frozen=True)
class Collecting(Mode):
    """The rows `[group, row, dim / groups]` that reach one layer's codebook are handed out.

    Attributes:
        target: name of that layer.
        behind: names of the layers behind it, which let activations through, as it does itself.
        sink: is handed the rows.
    """

    target: str
    behind: frozenset[str]
    sink: Callable[[Tensor], None]

    def through(self, name: str, layer: CodebookLayer, x: Tensor, positions: Tensor) -> Tensor:
        """See `Mode`."""
        if name == self.target:
            self.sink(layer.split(x.detach()))
            return x
        return x if name in self.behind else layer(x)


@dataclass
class Session(Mode):
    """Edits in force, and what was recorded while they were.

    Attributes:
        edits: made ready for the model.
        prompt_length: tokens that count as the prompt for `where`, one number or int64 `[batch, 1]`; None: all are prompt.
        forced: layer name -> group and int64 `[batch, length]` or `[batch, length, slot]`: a code for each position, for a
            single uncached forward pass; -1 empties the slot, -2 leaves it as it is. Applied before the edits.
        record: keep what the codebooks chose.
        recorded: layer name -> one `Nearest` per forward pass.
        probes: of a `Probing` session: layer name -> zeros that were added to what it put out in the last forward pass, for
            the gradient by it.
    """

    edits: ReadyEdits
    prompt_length: int | Tensor | None = None
    forced: Mapping[str, Sequence[tuple[int, Tensor]]] = field(default_factory=dict)
    record: bool = False
    recorded: dict[str, list[Nearest]] = field(default_factory=dict)
    probes: dict[str, Tensor] = field(default_factory=dict)
    _positions: Tensor | None = None  # of the forward pass that `_rows` are of
    _rows: dict[Where, Tensor | None] = field(default_factory=dict)

    def through(self, name: str, layer: CodebookLayer, x: Tensor, positions: Tensor) -> Tensor:
        """See `Mode`."""
        edits = self._placed(name, positions)
        return self._edited(name, layer, x, edits) if edits or self.record else layer(x)

    def _edited(self, name: str, layer: CodebookLayer, x: Tensor, edits: Sequence[PlacedEdit]) -> Tensor:
        out, chosen = layer.edited(x, edits, report=self.record)
        if self.record:
            self.recorded.setdefault(name, []).append(chosen)
        return out

    def _placed(self, name: str, positions: Tensor) -> list[PlacedEdit]:
        if positions is not self._positions:  # the rows of a place are the same in all layers of one forward pass
            self._positions, self._rows = positions, {}
        placed = []
        for group, codes in self.forced.get(name, ()):
            everywhere = torch.ones(positions.numel(), dtype=torch.bool, device=positions.device)
            placed.append(PlacedEdit(group, Edit(name, 0), everywhere, codes.flatten(0, 1)))
        return placed + self.edits.placed(name, self._rows_of)

    def _rows_of(self, where: Where) -> Tensor | None:
        if where not in self._rows:
            assert self._positions is not None
            rows = rows_at(self._positions, where, self.prompt_length)
            self._rows[where] = rows if rows.any() else None
        return self._rows[where]


class Probing(Session):
    """A session whose gradients go straight through to the activations before each layer, and that fills `probes`."""

    def through(self, name: str, layer: CodebookLayer, x: Tensor, positions: Tensor) -> Tensor:
        """See `Mode`."""
        out = self._edited(name, layer, x, self._placed(name, positions))
        self.probes[name] = torch.zeros_like(out, requires_grad=True)
        return out + (x - x.detach()) + self.probes[name]
