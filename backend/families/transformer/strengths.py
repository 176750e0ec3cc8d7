"""How much of every code is added to what its codebook puts out, at some places of a text: what a search changes step by step.

Strengths are counted in *units*, how large what the codebook puts out is beside the codes it chooses, so that one rate serves
all layers. Only *active* codes are added; a search wakes those that promise most, and those that become useless doze off.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor

from backend.edits.codes import Where
from backend.nn.insertion.model import CodebookTransformer
from backend.nn.quantize import rows_of
from backend.types import Edit

LEAST = 0.01  # strength below which a code leaves, in units
CAP = 1.0  # of the strength of an edit
MOST = 128  # codes that are active at once

Slopes = Mapping[str, Tensor]  # layer -> [place, group, code], the gradient of a loss by the strengths


class Strengths:
    """The strength of every code of a model, at each of some places.

    Attributes:
        values: layer -> float `[place, group, code]`, in units, 0 to `CAP` over the unit.
        active: layer -> bool `[place, group, code]`.
        units: layer -> float `[group, 1]`.
    """

    def __init__(self, model: CodebookTransformer, places: Sequence[Where], tokens: Tensor) -> None:
        """Begin without any code.

        Args:
            model: its weights stay as they are.
            places: where codes are added, as of an `Edit`.
            tokens: int64 `[text, token]`, on which the units are measured.
        """
        self._model, self._places = model, tuple(places)
        self.values: dict[str, Tensor] = {}
        self.active: dict[str, Tensor] = {}
        self.units: dict[str, Tensor] = {}
        with torch.no_grad(), model.session(record=True) as session:
            model(tokens, use_cache=False)
        for name, (nearest,) in session.recorded.items():
            layer = model.layer(name)
            put_out = layer.combine(nearest.ids).detach().float()
            chosen = rows_of(layer.table, nearest.ids).detach().float()
            self.units[name] = (put_out.square().mean((1, 2)) / chosen.square().mean((1, 2, 3))).sqrt()[:, None]
            self.values[name] = torch.zeros((len(self._places), *layer.table.shape[:2]), device=tokens.device)
            self.active[name] = torch.zeros_like(self.values[name], dtype=torch.bool)

    def take(self, edits: Sequence[Edit]) -> None:
        """Add what these edits add; each at one of the places."""
        layers = {site: (name, group) for name in self.values for group, site in enumerate(self._model.sites(name))}
        for edit in edits:
            assert edit.action == "add"
            name, group = layers[edit.site]
            at = self._places.index(edit.where), group, edit.code
            self.values[name][at] += edit.strength / float(self.units[name][group, 0])
            self.active[name][at] = True

    def edits(self) -> tuple[Edit, ...]:
        """Return what is added, strongest first."""
        edits = []
        for name, values in self.values.items():
            sites, real = self._model.sites(name), values * self.units[name]
            edits += [
                Edit(sites[group], code, "add", round(float(real[place, group, code]), 6), self._places[place])
                for place, group, code in (values > LEAST).nonzero().tolist()
            ]
        return tuple(sorted(edits, key=lambda edit: -edit.strength))

    def slopes(self, loss: Callable[[], Tensor], prompts: Tensor) -> dict[str, Tensor]:
        """Return the gradient of a loss by the strengths, straight through the codes that come after.

        Args:
            loss: one forward pass of the model, to a scalar.
            prompts: int64 `[text, 1]`, how many tokens of each text are its prompt.
        """
        model = self._model
        with torch.enable_grad(), model.session(self.edits(), prompt_length=prompts, probe=True) as session:
            value = loss()
            rows = [model.rows(place, prompts) for place in self._places]  # bool [row], where codes are added
        slopes = {}
        for name, slope in zip(session.probes, torch.autograd.grad(value, list(session.probes.values())), strict=True):
            table = model.layer(name).table.detach().float()
            by_row = slope.float().reshape(len(rows[0]), len(table), -1)
            by_place = torch.stack([by_row[at].sum(0) for at in rows])  # [place, group, dim / groups]
            slopes[name] = (table @ by_place[..., None])[..., 0] * self.units[name]
        return slopes

    def settle(self) -> None:
        """Bring strengths below zero or above the cap back, and those of codes that are not active to zero."""
        for name, values in self.values.items():
            allowed = torch.minimum(values.clamp(min=0), CAP / self.units[name])
            values.copy_(allowed * self.active[name])

    def doze(self) -> None:
        """Make codes that are hardly added any more inactive."""
        for name, values in self.values.items():
            self.active[name] &= values > LEAST

    def wake(self, slopes: Slopes, more: int) -> None:
        """Make the codes active that promise most, at most `more` of them and `MOST` in all."""
        room = min(more, MOST - int(sum(active.sum() for active in self.active.values())))
        asleep = [slopes[name].masked_fill(active, 0).flatten() for name, active in self.active.items()]
        everyone = torch.cat(asleep)
        best = everyone.topk(max(0, min(room, len(everyone))), largest=False)
        chosen = torch.zeros_like(everyone, dtype=torch.bool)
        chosen[best.indices[best.values < 0]] = True
        for (name, active), part in zip(self.active.items(), chosen.split([*map(len, asleep)]), strict=True):
            self.active[name] = active | part.view_as(active)
