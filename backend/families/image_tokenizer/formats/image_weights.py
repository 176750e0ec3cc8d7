"""What every reader of a published image tokenizer needs: from a file of tensors to our network's settings and weights.

1. `read_state` finds the file and the table of tensors in it; nothing that a pickle wants to run is run.
2. `translate` gives the tensors the names of `backend.nn.vqgan`, by the format's rules.
3. `assemble` reads the network's settings off names and shapes, holds them against what a configuration claims, and
   checks that nothing is missing, left over, of another shape, or more than the file holds.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from backend.errors import BadInput, CheckpointError
from backend.formats import TENSOR_FILES
from backend.formats.checkpoints import check_finite, read_tensors
from backend.nn.vqgan import Half, VqganDecoder, VqganEncoder, VqganSettings

Rule = tuple[str, str | Callable[[re.Match[str]], str]]
COMMON: tuple[Rule, ...] = ((r"^quant_conv\.", "encoder.to_codes."), (r"^post_quant_conv\.", "decoder.from_codes."))
_TRAINING = re.compile(
    r"^(loss|discriminator|perceptual_loss|lpips|model_ema|optimizer)\.|codebook_used$|cluster_size$|embed_avg$"
)


@dataclass(frozen=True)
class ImportedTokenizer:
    """A published image tokenizer, in our terms.

    Attributes:
        settings: of its network.
        weights: float32, under the names of `VqganEncoder` (`encoder.*`) and `VqganDecoder` (`decoder.*`).
        table: float32 `[num_codes, code_dim]`, as stored (not normalised).
        normalized: whether latents and codes are brought to length 1 before they are compared and decoded.
        warnings: what a person should know.
    """

    settings: VqganSettings
    weights: dict[str, Tensor]
    table: Tensor
    normalized: bool
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class Translated:
    """The tensors of a file, sorted.

    Attributes:
        network: our name -> tensor.
        names: our name -> the file's.
        rest: tensors that belong to no network under the file's names: the codebook and what makes it.
        source: the file, for messages.
    """

    network: dict[str, Tensor]
    names: dict[str, str]
    rest: dict[str, Tensor]
    source: Path

    def take(self, name: str) -> Tensor:
        """Remove and return a float tensor of the rest.

        Raises:
            CheckpointError: there is none of that name.
        """
        if name not in self.rest:
            raise CheckpointError(f"{self.source} has no {name!r}. Check that it is of this format and complete.")
        return check_tensor(name, self.rest.pop(name), self.source)


def find_file(path: Path, skip: str = "") -> Path:
    """Find the one checkpoint at a path.

    Args:
        path: a file, or a folder with exactly one.
        skip: regular expression of names in a folder that are something else.

    Raises:
        BadInput: the folder holds none, or several; or the path is something else, such as a pipe.
    """
    if path.is_file():
        return path
    if not path.is_dir():
        raise BadInput(f"{path} is neither a file nor a folder. Give the checkpoint's file.")
    files = sorted(f for f in path.iterdir() if f.suffix in TENSOR_FILES and not (skip and re.match(skip, f.name)))
    if len(files) != 1:
        names = ", ".join(f.name for f in files[:6]) or "none"
        raise BadInput(f"{path} holds {names} where one checkpoint was expected. Give the file itself.")
    return files[0]


def read_state(file: Path) -> tuple[dict[str, Tensor], tuple[str, ...]]:
    """Read the table of a model's tensors in a file: itself, or under `ema`, `model` or `state_dict`; and warnings.

    Raises:
        CheckpointError: the file is cut off, unsafe or holds no such table.
    """
    state, warnings = read_tensors(file, ("ema", "model", "state_dict"))
    plain = {re.sub(r"^(module\.|_orig_mod\.)+", "", name): tensor for name, tensor in state.items()}
    return plain, warnings


def translate(state: Mapping[str, Tensor], rules: Sequence[Rule], source: Path) -> Translated:
    """Give tensors our names; what only training needs (losses, discriminators, counters) is dropped."""
    tensors = Translated({}, {}, {}, source)
    for name, tensor in state.items():
        if _TRAINING.search(name):
            continue
        ours = name
        for pattern, replacement in (*COMMON, *rules):
            ours = re.sub(pattern, replacement, ours)
        if ours.startswith(("encoder.", "decoder.")):
            tensors.network[ours] = tensor
            tensors.names[ours] = name
        else:
            tensors.rest[name] = tensor
    return tensors


def check_tensor(name: str, tensor: Tensor, source: Path) -> Tensor:
    """Return the tensor as float32.

    Raises:
        CheckpointError: it holds no floating point numbers, infinite ones (as float32), or more than the file does.
    """
    if not tensor.is_floating_point():
        raise CheckpointError(f"{source}: {name!r} holds {tensor.dtype}, not floating point numbers.")
    if tensor.numel() * tensor.element_size() > tensor.untyped_storage().nbytes():
        raise CheckpointError(f"{source}: {name!r} claims {tuple(tensor.shape)}, more values than the file holds.")
    numbers = tensor.detach().float().contiguous()
    check_finite(name, numbers, source)
    return numbers


def assemble(
    tensors: Translated,
    table: Tensor,
    *,
    normalized: bool = False,
    claims: Mapping[str, Any] | None = None,
    norm_groups: int = 32,
    spatial_norm: bool = False,
    warnings: Sequence[str] = (),
) -> ImportedTokenizer:
    """Read the settings off names and shapes, checked against each other, the table and the configuration's claims.

    Raises:
        CheckpointError: something is missing, left over, of another shape, or contradicts; it is named.
    """
    source = tensors.source
    shapes = {name: _shape(tensors, f"{name}.weight", 4) for name in ("encoder.to_codes", "decoder.from_codes")}
    try:
        settings = VqganSettings(
            **{half: _half(tensors, half) for half in ("encoder", "decoder")},
            latent_channels=shapes["encoder.to_codes"][1],
            code_dim=shapes["encoder.to_codes"][0],
            image_channels=_shape(tensors, "encoder.conv_in.weight", 4)[1],
            norm_groups=norm_groups,
            spatial_norm=spatial_norm,
        )
    except ValueError as error:
        raise CheckpointError(f"{source} does not make a network: {error}") from error
    if settings.image_channels != 3:
        raise CheckpointError(f"{source} reads pictures of {settings.image_channels} channels; only RGB is supported.")
    if table.ndim != 2 or table.shape[0] < 2 or table.shape[1] != settings.code_dim:
        raise CheckpointError(
            f"{source}: the codebook has the shape {tuple(table.shape)}, but the network's codes have "
            f"{settings.code_dim} values ({tensors.names['encoder.to_codes.weight']!r})."
        )
    _check_shapes(tensors, settings)
    check_claims(claims or {}, settings, len(table), source)
    weights = {name: check_tensor(tensors.names[name], t, source) for name, t in tensors.network.items()}
    left = sorted(tensors.rest)
    notes = [f"Left out weights that no tokenizer needs: {', '.join(left[:5])}."] if left else []
    return ImportedTokenizer(settings, weights, table, normalized, (*warnings, *notes))


def check_claims(claims: Mapping[str, Any], settings: VqganSettings, codes: int, source: Path) -> None:
    """Hold a configuration against the weights. Keys are those of the published configurations; unknown ones are skipped.

    Raises:
        CheckpointError: they contradict; key, claim and truth are named.
    """
    encoder, decoder = settings.encoder, settings.decoder
    scale = [width / encoder.stem for width in encoder.channels]
    true: dict[str, Any] = {
        **dict.fromkeys(("n_embed", "codebook_size", "n_vision_words", "num_vq_embeddings"), codes),
        **dict.fromkeys(("embed_dim", "codebook_embed_dim", "vq_embed_dim"), settings.code_dim),
        **dict.fromkeys(("z_channels", "latent_channels"), settings.latent_channels),
        **dict.fromkeys(("ch_mult", "encoder_ch_mult"), scale),
        **dict.fromkeys(("num_res_blocks", "layers_per_block"), encoder.blocks),
        **dict.fromkeys(("in_channels", "out_ch", "out_channels"), settings.image_channels),
        "decoder_ch_mult": [width / encoder.stem for width in reversed(decoder.channels)],
        "block_out_channels": list(encoder.channels),
        "ch": encoder.stem,
        "double_z": False,
        "mid_block_add_attention": encoder.mid_attention,
    }
    resolution, places = claims.get("resolution"), claims.get("attn_resolutions")
    if isinstance(resolution, int) and isinstance(places, list):  # it may name sizes that the network never has
        sizes = [resolution >> level for level in range(len(encoder.channels))]
        true["attn_resolutions"] = [sizes[level] for level in encoder.attention]
        claims = {**claims, "attn_resolutions": [size for size in sizes if size in places]}
    wrong = [
        f"{key!r} is {str(claims[key])[:60]}, but the weights say {value}"
        for key, value in true.items()
        if claims.get(key) is not None and not _agree(claims[key], value)  # None: "as by default"
    ]
    if wrong:
        raise CheckpointError(
            f"The configuration contradicts {source}: {'; '.join(wrong)}. Give the one it belongs to."
        )


def _agree(claim: Any, value: Any) -> bool:
    if isinstance(value, list):
        return isinstance(claim, list) and claim == value
    return isinstance(claim, int | float) and claim == value


def _half(tensors: Translated, half: str) -> Half:
    levels = _numbers(tensors, f"{half}.levels")
    channels: list[int] = []
    blocks: set[int] = set()
    attention = []
    for level in range(levels):
        prefix = f"{half}.levels.{level}"
        count = _numbers(tensors, f"{prefix}.blocks")
        blocks.add(count)
        channels.append(_shape(tensors, f"{prefix}.blocks.{count - 1}.conv2.weight", 4)[0])
        if any(name.startswith(f"{prefix}.attention.") for name in tensors.network):
            attention.append(level)
    if len(blocks) != 1:
        raise CheckpointError(
            f"{tensors.source}: the levels of the {half} have {sorted(blocks)} residual blocks; all must have as many."
        )
    middle = any(name.startswith(f"{half}.mid.attention.") for name in tensors.network)
    stem = _shape(tensors, f"{half}.conv_in.weight", 4)[0]
    return Half(stem, tuple(channels), blocks.pop(), tuple(attention), middle)


def _numbers(tensors: Translated, place: str) -> int:
    """Count the numbers that stand at a place of the names: they must run from 0 without a gap."""
    pattern = re.compile(rf"{re.escape(place)}\.(\d{{1,4}})\.")
    numbers = {int(match[1]) for name in tensors.network if (match := pattern.match(name))}
    if not numbers or numbers != set(range(len(numbers))):
        what = f"has {sorted(numbers)[:8]}" if numbers else "is missing"
        raise CheckpointError(
            f"{tensors.source}: {place!r} {what}, where parts 0, 1, ... were expected. It is incomplete or of another format."
        )
    return len(numbers)


def _shape(tensors: Translated, name: str, dims: int) -> tuple[int, ...]:
    tensor = tensors.network.get(name)
    if tensor is None or tensor.ndim != dims:
        what = "is missing" if tensor is None else f"has the shape {tuple(tensor.shape)}"
        raise CheckpointError(f"{tensors.source}: {_their(tensors, name)!r} {what}, so this is not such a tokenizer.")
    return tuple(tensor.shape)


def _check_shapes(tensors: Translated, settings: VqganSettings) -> None:
    with torch.device("meta"):  # shapes alone, no memory
        halves = {"encoder": VqganEncoder(settings), "decoder": VqganDecoder(settings)}
    expected = {f"{half}.{name}": t.shape for half, net in halves.items() for name, t in net.state_dict().items()}
    missing = [_their(tensors, name) for name in expected if name not in tensors.network]
    unknown = [tensors.names[name] for name in tensors.network if name not in expected]
    wrong = [
        f"{tensors.names[name]} {tuple(tensor.shape)} instead of {tuple(expected[name])}"
        for name, tensor in tensors.network.items()
        if name in expected and tensor.shape != expected[name]
    ]
    if missing or unknown or wrong:
        details = [
            f"{what}: {', '.join(names[:5])}{f' and {len(names) - 5} more' if len(names) > 5 else ''}."
            for what, names in (("Missing", missing), ("Unknown", unknown), ("Wrong shape", wrong))
            if names
        ]
        raise CheckpointError(f"The weights of {tensors.source} do not fit together. {' '.join(details)}")


def _their(tensors: Translated, name: str) -> str:
    """Return the file's name of a tensor, taken from its neighbour's where it is missing."""
    module, _, leaf = name.rpartition(".")
    for ours, theirs in tensors.names.items():
        if ours.rpartition(".")[0] == module:
            return f"{theirs.rpartition('.')[0]}.{leaf}"
    return name
