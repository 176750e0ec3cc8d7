"""Image tokenizers: pictures to grids of code ids and back, with edits of the token map.

A checkpoint is one folder, nothing in it that could run:

config.json           {"tokenizer": ..., "method": ...}: see `TokenizerConfig`; the method only for those trained here
model.safetensors     encoder, decoder and the finished tables; half precision is widened when it is read
producer.safetensors  where the table was produced by other weights (FVQ's bridge, a projector): these, so that folding can
                      be checked again; nothing else needs them
card.json             what was measured and how it was made, see `backend.catalog.cards`
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save_file
from torch import Tensor

from backend.catalog.cards import Card, write_card
from backend.data.datasets import open_images
from backend.data.source import ImageDataset
from backend.edits.codes import MOVES, first_generated
from backend.errors import BadInput, CheckpointError, UnknownCode, UsageError
from backend.families.kind import Other
from backend.files import replacing_folder
from backend.formats.checkpoints import read_json, read_tensors
from backend.formats.weights import WEIGHTS, load_weights
from backend.nn.image_tokenizer import ImageTokenizer, TokenizerConfig, rows_of_cells
from backend.nn.tables import CodeTable, make_table
from backend.types import CodebookInfo, CodeGrid, Edit, Encoded, Item, ModelSpec, concatenate

PRODUCER = "producer.safetensors"
BATCH_PIXELS = 1 << 16  # of one forward pass: 64 pictures of 32 x 32, one of 256 x 256; twice as many were half as fast


class ImageTokenizerFamily:
    """A trained image tokenizer, ready to encode, decode and edit."""

    capabilities = frozenset({"encode", "decode", "edit", "neurons"})

    def __init__(
        self, spec: ModelSpec, model: ImageTokenizer, dataset: ImageDataset, folder: Path | None = None
    ) -> None:
        """Wrap a loaded model; `open_image_tokenizer` loads one. `folder`: its checkpoint, where there is one."""
        self.spec, self.dataset, self.folder = spec, dataset, folder
        self.model = model.eval()

    @property
    def device(self) -> torch.device:
        """Where the model is."""
        return self.model.tables[0].device

    def codebooks(self) -> list[CodebookInfo]:
        """Return one codebook, or one a residual level."""
        return [
            CodebookInfo(
                site,
                len(table),
                self.model.code_dim,
                1,
                level if len(self.model.sites) > 1 else None,
                None,
                "vq",
                "euclidean",
            )
            for level, (site, table) in enumerate(zip(self.model.sites, self.model.tables, strict=True))
        ]

    def table(self, site: str) -> np.ndarray:
        """Return float32 `[num_codes, dim]`: codes as they are compared and decoded."""
        return self.model.table(self._level(site)).cpu().numpy()

    def grid(self, height: int, width: int) -> tuple[int, int]:
        """Return cells of a picture of that many pixels.

        Raises:
            BadInput: its sides are not multiples of a cell's.
        """
        cell = self.model.downsampling
        if not height or not width or height % cell or width % cell:
            raise BadInput(
                f"A picture of {width} x {height} pixels cannot be cut into cells of {cell} x {cell}. Scale or crop it to "
                f"multiples of {cell}."
            )
        return height // cell, width // cell

    def items(self, start: int, stop: int, seed: int) -> Sequence[Item]:
        """Return pictures of the model's data set, with what is true of each cell; fewer where it ends."""
        available = self.dataset.count(seed)
        stop = stop if available is None else min(stop, available)
        return self.dataset.items(start, stop, seed, self.grid(self.dataset.size, self.dataset.size))

    def encode(
        self, items: Sequence[Item], edits: Iterable[Edit] = (), *, logits: bool = False, neurons: bool = False
    ) -> Encoded:
        """Encode the items' pixels, in batches of equal size; see `Family.encode`.

        Bans come first, then forces and zeros in the given order; blends and adds change what `decode` makes, not the tokens.
        Positions are cells in reading order; `prompt` means all of them and `generated` none. Neurons are the vectors
        that each codebook is asked for, under its name: the encoder's output, for levels after the first what is left.
        """
        return self.encode_pixels([item.payload for item in items], edits, neurons=neurons)

    def encode_pixels(
        self, pictures: Sequence[np.ndarray], edits: Iterable[Edit] = (), *, neurons: bool = False
    ) -> Encoded:
        """Encode pictures float32 `[3, height, width]` in [-1, 1], of any sizes that fit; the rest as in `encode`.

        Raises:
            BadInput: a picture's shape does not fit.
            UnknownCode: an edit names a codebook or code that is not there.
        """
        edits = self._known(edits)
        parts = [self._encode_batch(np.stack(batch), edits) for batch in _batches(pictures, BATCH_PIXELS)]
        grids, queries = {}, {}
        for level, site in enumerate(self.model.sites):
            if neurons:
                rows = [part[level][1].float().cpu().numpy() for part in parts]
                queries[site] = concatenate(rows, (0, self.model.code_dim), np.float32)
            grids[site] = CodeGrid.concatenate(site, 1, [part[level][0] for part in parts])
        return Encoded(grids, neurons=queries)

    @torch.no_grad()
    def _encode_batch(self, pixels: np.ndarray, edits: Sequence[Edit]) -> list[tuple[CodeGrid, Tensor]]:
        """Return each level's grid and the vectors `[P, dim]` it was asked for."""
        if pixels.ndim != 4 or pixels.shape[1] != 3:
            raise BadInput(f"Pictures must be [3, height, width], not {pixels.shape[1:]}.")
        height, width = self.grid(*pixels.shape[2:])
        images = torch.from_numpy(np.ascontiguousarray(pixels, dtype=np.float32)).to(self.device)
        left = rows_of_cells(self.model.encode(images))
        levels = []
        for level, site in enumerate(self.model.sites):
            edits_here = [e for e in edits if e.site == site]
            grid, vectors = self._choose(left, level, edits_here, height * width)
            levels.append((grid, left))
            left = left - vectors
        return levels

    def _choose(self, rows: Tensor, level: int, edits: Sequence[Edit], cells: int) -> tuple[CodeGrid, Tensor]:
        """Choose the codes of one level with edits, and their vectors `[P, dim]`."""
        table = self.model.table(level)
        codes = len(table)
        best = self.model.nearest(rows, level, min(2, codes))
        pair = torch.full((len(rows), 2), -1, device=rows.device)
        score = torch.full((len(rows), 2), -torch.inf, device=rows.device)
        pair[:, : best.ids.shape[1]], score[:, : best.ids.shape[1]] = best.ids, -best.distances
        bans = [(e.code, _places(e, cells, len(rows), rows.device)) for e in edits if e.action == "ban"]
        for row in _any(bans):
            out = {code for code, places in bans if places[row]}
            ranked = self.model.nearest(rows[row : row + 1], level, min(codes, 2 + len(out)))
            allowed = [
                (i, -d)
                for i, d in zip(ranked.ids[0].tolist(), ranked.distances[0].tolist(), strict=True)
                if i not in out
            ]
            for place in range(2):
                pair[row, place], score[row, place] = allowed[place] if place < len(allowed) else (-1, -torch.inf)
        ids = pair[:, 0].clone()
        for edit in edits:
            if edit.action in ("force", "zero"):
                hit = _places(edit, cells, len(rows), rows.device)
                ids = (
                    torch.where(hit & (ids == edit.code), -1, ids)
                    if edit.action == "zero"
                    else ids.masked_fill(hit, edit.code)
                )
        vectors = table[ids.clamp_min(0)]
        if (changed := ids != pair[:, 0]).any():
            far = -(rows - vectors).norm(dim=-1)
            score[:, 0] = torch.where(changed, torch.where(ids < 0, -torch.inf, far), score[:, 0])
        grid = CodeGrid(
            self.model.sites[level],
            ids[:, None].int().cpu().numpy(),
            score[:, :1].float().cpu().numpy(),
            pair[:, 1].int().cpu().numpy(),
            score[:, 1].float().cpu().numpy(),
        )
        return grid, vectors.masked_fill((ids < 0)[:, None], 0)

    def decode(self, codes: Mapping[str, np.ndarray], edits: Iterable[Edit] = ()) -> np.ndarray:
        """Make pictures from token maps.

        Args:
            codes: site -> int `[n, H, W, 1]` (or `[n, H, W]`); -1 is a zero vector. Every codebook must be there.
            edits: blends and adds alone change anything here: `(1 - s) x chosen + s x code` or `chosen + s x code` at
                their cells; the others have been applied by `encode`.

        Returns:
            float32 `[n, 3, height, width]`, about [-1, 1], not clipped.

        Raises:
            BadInput: a codebook is missing, or shapes differ.
            UnknownCode: an id is out of range, or an edit names what is not there.
        """
        moves = [edit for edit in self._known(edits) if edit.action in MOVES]
        ids = self._checked(codes)
        count, _, height, width = ids.shape
        step = max(1, BATCH_PIXELS // (height * width * self.model.downsampling**2))
        pictures = [self._decode_batch(ids[i : i + step], moves) for i in range(0, count, step)]
        cell = self.model.downsampling
        return concatenate(pictures, (0, 3, height * cell, width * cell), np.float32)

    @torch.no_grad()
    def _decode_batch(self, ids: np.ndarray, moves: Sequence[Edit]) -> np.ndarray:
        tokens = torch.from_numpy(ids).to(self.device)
        quantized = self.model.lookup(tokens)
        chosen = quantized
        height, width = ids.shape[2:]
        for edit in moves:  # several add up, each measured from what was chosen
            level = self._level(edit.site)
            hit = _places(edit, height * width, height * width, self.device).view(1, 1, height, width)
            table = self.model.table(level)
            step = table[edit.code][None, :, None, None]
            if edit.action == "blend":
                at = tokens[:, level]
                step = step - table[at.clamp_min(0)].masked_fill((at < 0)[..., None], 0).movedim(-1, 1)
            chosen = chosen + edit.strength * hit * step
        images = self.model.decode(chosen)
        return images.float().contiguous().cpu().numpy()

    def _checked(self, codes: Mapping[str, np.ndarray]) -> np.ndarray:
        """Return int64 `[n, level, H, W]`."""
        missing = [site for site in self.model.sites if site not in codes]
        if missing or codes.keys() - set(self.model.sites):
            raise BadInput(
                f"Tokens of {sorted(codes)} were given; {self.spec.name} decodes those of {', '.join(self.model.sites)}."
            )
        levels = []
        for site, table in zip(self.model.sites, self.model.tables, strict=True):
            ids = np.asarray(codes[site])
            ids = ids[..., 0] if ids.ndim == 4 and ids.shape[3] == 1 else ids
            if ids.ndim != 3 or ids.dtype.kind not in "iu" or 0 in ids.shape[1:]:
                raise BadInput(f"Tokens of {site} must be whole numbers [n, H, W, 1], not {ids.dtype} {ids.shape}.")
            if ids.size and not (-1 <= ids.min() and ids.max() < len(table)):
                raise UnknownCode(
                    f"Tokens of {site} from {ids.min()} to {ids.max()} were given; there are 0 to {len(table) - 1}."
                )
            levels.append(ids.astype(np.int64))
        if len({ids.shape for ids in levels}) > 1:
            raise BadInput(f"Tokens of the levels have different shapes: {[ids.shape for ids in levels]}.")
        return np.stack(levels, axis=1)

    def _level(self, site: str) -> int:
        if site not in self.model.sites:
            raise UnknownCode(f"{self.spec.name} has no codebook {site[:80]!r}. Known: {', '.join(self.model.sites)}.")
        return self.model.sites.index(site)

    def _known(self, edits: Iterable[Edit]) -> tuple[Edit, ...]:
        edits = tuple(edits)
        for edit in edits:
            codes = len(self.model.tables[self._level(edit.site)])
            lowest = -1 if edit.action == "force" else 0
            if not lowest <= edit.code < codes:
                raise UnknownCode(f"{edit.site} of {self.spec.name} has codes 0 to {codes - 1}, not {edit.code}.")
            if edit.slot not in (None, 0):
                raise BadInput(f"{edit.site} chooses one code a cell: there is no slot {edit.slot}.")
        return edits


def _places(edit: Edit, cells: int, rows: int, device: torch.device) -> Tensor:
    """Return bool `[row]`: where an edit applies; rows are the cells of one picture after another."""
    if first_generated(edit.where) is not None:
        return torch.zeros(rows, dtype=torch.bool, device=device)
    if isinstance(edit.where, str):
        return torch.ones(rows, dtype=torch.bool, device=device)
    wanted = torch.tensor([place + cells if place < 0 else place for place in edit.where], device=device)
    return torch.isin(torch.arange(rows, device=device) % cells, wanted)


def _any(bans: Sequence[tuple[int, Tensor]]) -> list[int]:
    return torch.stack([places for _, places in bans]).any(0).nonzero()[:, 0].tolist() if bans else []


def _batches(pictures: Sequence[np.ndarray], pixels: int) -> Iterator[Sequence[np.ndarray]]:
    """Yield runs of pictures of equal shape with at most that many pixels together, in order."""
    start = 0
    for stop in range(1, len(pictures) + 1):
        shape = pictures[start].shape
        room = max(1, pixels // max(1, int(np.prod(shape[-2:]))))
        if stop == len(pictures) or pictures[stop].shape != shape or stop - start >= room:
            yield pictures[start:stop]
            start = stop


def open_image_tokenizer(spec: ModelSpec, folder: Path, device: str, other: Other) -> ImageTokenizerFamily:
    """Open the door `open`: load an image tokenizer from its checkpoint folder.

    Raises:
        CheckpointError: something is missing, unreadable, or does not fit the configuration.
    """
    model = load_tokenizer(folder)
    model.to(device)
    return ImageTokenizerFamily(spec, model, open_images(spec.dataset, folder), folder)


def load_tokenizer(folder: Path) -> ImageTokenizer:
    """Load a folder written by `save_tokenizer`, in float32.

    Raises:
        CheckpointError: something is missing, unreadable, or does not fit the configuration.
    """
    data = read_json(folder / "config.json")
    try:
        with torch.device("meta"):
            model = ImageTokenizer(TokenizerConfig.from_json(data["tokenizer"]))
    except (KeyError, TypeError, ValueError) as error:
        raise CheckpointError(f"{folder / 'config.json'} describes no image tokenizer: {error}") from error
    model.to_empty(device="cpu")
    weights, _ = read_tensors(folder / WEIGHTS)
    load_weights(model, {name: tensor.float() for name, tensor in weights.items()}, folder)
    return model.requires_grad_(False).eval()


def load_producer(folder: Path) -> CodeTable | None:
    """Return what the table was produced by, where that was kept.

    Raises:
        CheckpointError: it is there and does not fit the configuration.
    """
    if not (folder / PRODUCER).is_file():
        return None
    data = read_json(folder / "config.json")
    weights, _ = read_tensors(folder / PRODUCER)
    try:
        codes, method = int(data["tokenizer"]["codes"][0]), data["method"]
        features = weights["codes"].float() if method["name"] == "lc" else None
        producer = make_table(method["name"], codes, int(method["dim"]), method["settings"], features)
    except (LookupError, TypeError, ValueError, UsageError) as error:
        raise CheckpointError(f"{folder / 'config.json'} describes no way to produce a table: {error!r}") from error
    load_weights(producer, {name: tensor.float() for name, tensor in weights.items()}, folder / PRODUCER)
    return producer.requires_grad_(False).eval()


def save_tokenizer(
    model: ImageTokenizer,
    folder: Path,
    card: Card,
    *,
    method: Mapping[str, Any] | None = None,
    producer: CodeTable | None = None,
    half: bool = False,
) -> None:
    """Write a checkpoint folder; an older one of that name is replaced only when the new one is complete.

    Args:
        model: what to save.
        folder: where to.
        card: what was measured and how it was made.
        method: `{"name", "dim", "settings"}` of what trained the table here.
        producer: what the table was produced by, to be kept beside it.
        half: store networks in half precision; a produced table stays float32, made from the rounded producer, so that
            folding stays exact. Token ids are then those of the rounded weights.
    """
    weights = {name: tensor.detach().cpu().contiguous() for name, tensor in model.state_dict().items()}
    producing: dict[str, Tensor] = {}
    if producer is not None:
        producing = {name: tensor.detach().cpu().contiguous() for name, tensor in producer.state_dict().items()}
    if half:
        weights, producing = _halved(weights), _halved(producing)
        if producer is not None:
            producer.load_state_dict({name: tensor.float() for name, tensor in producing.items()})
    if producer is not None:
        weights["tables.0"] = producer.table().detach().float().cpu().contiguous()
    with replacing_folder(folder) as new:
        save_file(weights, new / WEIGHTS, metadata={"format": "pt"})
        if producing:
            save_file(producing, new / PRODUCER, metadata={"format": "pt"})
        about: dict[str, Any] = {"tokenizer": model.config.to_json()}
        if method is not None:
            about["method"] = dict(method)
        (new / "config.json").write_text(json.dumps(about, indent=1) + "\n", encoding="utf-8")
        write_card(new, card)


def _halved(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name: tensor.half() if tensor.is_floating_point() else tensor for name, tensor in weights.items()}
