"""Codebook transformers: any causal language model with codebooks put in, on text or on finite-state machines."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from backend.data.datasets import open_text, source_of
from backend.data.source import TextDataset
from backend.errors import BadInput
from backend.families.kind import Other
from backend.families.transformer.checkpoint import load_checkpoint
from backend.nn.insertion.anatomy import decoder_layers
from backend.nn.insertion.edits import ReadyEdits
from backend.nn.insertion.hooks import attach
from backend.nn.insertion.model import CodebookTransformer
from backend.nn.insertion.placement import Place
from backend.types import CodebookInfo, CodeGrid, Edit, Encoded, Item, ModelSpec, concatenate

BATCH_POSITIONS = 8192
NEURON_PLACES: tuple[Place, ...] = ("attn", "mlp")


class TransformerFamily:
    """A causal language model with (or, for a base, without) codebooks, ready to encode, generate and be steered."""

    def __init__(self, spec: ModelSpec, model: CodebookTransformer, dataset: TextDataset) -> None:
        """Wrap a loaded model; `open_transformer` loads one."""
        self.spec = spec
        self.model = model.eval()
        self.dataset = dataset

    @property
    def capabilities(self) -> frozenset[str]:
        """What pages may ask of this model."""
        names = {"encode", "logits", "neurons", "generate"}
        if self.model.codebooks:
            names.add("steer")
        return source_of(self.spec.dataset).capabilities | names

    @property
    def context(self) -> int:
        """Most tokens that the model can read at once."""
        return int(getattr(self.model.model.config, "max_position_embeddings", 1 << 20))

    @property
    def vocabulary(self) -> int:
        """Number of token ids."""
        return int(self.model.model.config.get_text_config().vocab_size)

    @property
    def device(self) -> torch.device:
        """Where the model is."""
        return self.model.model.device

    def codebooks(self) -> list[CodebookInfo]:
        """Return all codebooks in the order of the forward pass."""
        return self.model.infos()

    def table(self, site: str) -> np.ndarray:
        """Return float32 `[num_codes, dim]`."""
        layer, group = self.model.where(site)
        return layer.table[group].detach().float().cpu().numpy()

    def items(self, start: int, stop: int, seed: int) -> Sequence[Item]:
        """Return items of the model's data set."""
        return self.dataset.items(start, stop, seed)

    def check(self, ids: np.ndarray) -> None:
        """Raise `BadInput` if the token ids `[..., T]` cannot be read by this model."""
        if ids.shape[-1] > self.context:
            raise BadInput(
                f"{ids.shape[-1]:,} tokens are too many: {self.spec.name} reads up to {self.context:,} at once. "
                "Give a shorter text."
            )
        if ids.size and not (0 <= ids.min() and ids.max() < self.vocabulary):
            raise BadInput(
                f"Token ids from {ids.min()} to {ids.max()} were given; {self.spec.name} knows 0 to {self.vocabulary - 1}."
            )

    def encode(
        self, items: Sequence[Item], edits: Iterable[Edit] = (), *, logits: bool = False, neurons: bool = False
    ) -> Encoded:
        """Run forward passes over the items, in batches; see `Family.encode`."""
        ready = self.model.ready(edits)
        parts = [self._encode_batch(batch, ready, logits, neurons) for batch in _batches(items, BATCH_POSITIONS)]
        grids = {
            info.site: CodeGrid.concatenate(info.site, info.slots, [part.grids[info.site] for part in parts])
            for info in self.codebooks()
        }
        names = parts[0].neurons.keys() if parts else ()
        return Encoded(
            grids,
            concatenate([p.logits for p in parts], (0, self.vocabulary), np.float32) if logits else None,
            {name: np.concatenate([p.neurons[name] for p in parts]) for name in names},
        )

    @torch.no_grad()
    def _encode_batch(self, items: Sequence[Item], edits: ReadyEdits, logits: bool, neurons: bool) -> Encoded:
        lengths = np.array([item.positions for item in items])
        real = (
            np.arange(lengths.max())[None] < lengths[:, None]
        )  # [item, position]: the rest is padding behind the item
        ids = np.zeros(real.shape, dtype=np.int64)
        ids[real] = np.concatenate([item.payload for item in items])
        self.check(ids)
        tokens = torch.from_numpy(ids).to(self.device)
        rows = torch.from_numpy(np.flatnonzero(real)).to(self.device)
        whole = bool(real.all())

        def of_items(x: Tensor) -> Tensor:
            """Return those rows `[..., row, value]` of the padded batch that are of items."""
            return x if whole else x.index_select(-2, rows)

        ends = torch.from_numpy(lengths)[:, None].to(self.device)
        with self._neurons(neurons) as seen, self.model.session(edits, prompt_length=ends, record=True) as session:
            body = self.model.model if logits else self.model.model.base_model
            if logits:
                output = self.model.model(tokens, use_cache=False).logits
            else:  # the codes do not need the output matrix, but positions are noted by a hook of the whole model
                self.model.note_positions(tokens)
                body(tokens, use_cache=False)
        grids = {}
        for name, (chosen,) in session.recorded.items():
            pairs, singles = (
                (chosen.ids, chosen.scores),
                (chosen.runner_up[..., None], chosen.runner_up_score[..., None]),
            )
            arrays = [of_items(t).cpu().numpy() for t in pairs]
            arrays += [of_items(t)[..., 0].cpu().numpy() for t in singles]
            for group, site in enumerate(self.model.sites(name)):
                codes, scores, runner_up, runner_up_score = (a[group] for a in arrays)
                grids[site] = CodeGrid(
                    site,
                    codes.astype(np.int32),
                    scores.astype(np.float32),
                    runner_up.astype(np.int32),
                    runner_up_score.astype(np.float32),
                )
        return Encoded(
            grids,
            of_items(output.float().flatten(0, 1)).cpu().numpy() if logits else None,
            {name: of_items(torch.cat(v)).numpy() for name, v in seen.items()},
        )

    @contextmanager
    def _neurons(self, wanted: bool) -> Iterator[dict[str, list[Tensor]]]:
        """Collect activations before any codebook replaces them, inside the `with`.

        Args:
            wanted: without, nothing is collected.

        Yields:
            Site name, `L0.attn` (head outputs before the projection) or `L0.mlp` (feed-forward output) -> list of float32
            `[P, width]` on the CPU, one per forward pass.
        """
        seen: dict[str, list[Tensor]] = {}
        handles = []
        for index, parts in enumerate(decoder_layers(self.model.model) if wanted else ()):
            for place in NEURON_PLACES:

                def keep(value: Tensor, site: str = f"L{index}.{place}") -> Tensor:
                    seen.setdefault(site, []).append(value.detach().float().flatten(0, -2).cpu())
                    return value

                handles += attach(parts, place, keep, first=True)
        try:
            yield seen
        finally:
            for handle in handles:
                handle.remove()


def _batches(items: Sequence[Item], positions: int) -> Iterator[Sequence[Item]]:
    """Yield runs of items, in order, that take at most that many positions when all are as long as the longest."""
    start = longest = 0
    for stop, item in enumerate(items):
        longest = max(longest, item.positions)
        if stop > start and (stop - start + 1) * longest > positions:
            yield items[start:stop]
            start, longest = stop, item.positions
    if start < len(items):
        yield items[start:]


def open_transformer(spec: ModelSpec, folder: Path, device: str, other: Other) -> TransformerFamily:
    """Open the door `open`: load a codebook transformer from its checkpoint folder.

    Raises:
        CheckpointError: something is missing, unreadable, or does not fit the configuration.
    """
    model = load_checkpoint(folder)
    model.to(device)
    return TransformerFamily(spec, model, open_text(spec.dataset, folder))
