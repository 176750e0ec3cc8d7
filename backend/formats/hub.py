"""Checkpoints of the Hugging Face hub by address: `hf:owner/name`, or `hf:owner/name:file` for one file or folder in it.

Only what a reader needs is fetched, into the hub's own cache on this machine; what is there already needs no network.
"""

from __future__ import annotations

import re
from contextlib import suppress
from pathlib import Path, PurePosixPath

from backend.errors import BadInput, CheckpointError
from backend.formats import TENSOR_FILES

_ADDRESS = re.compile(r"hf:([\w.-]{1,96}/[\w.-]{1,96})(?::([\w./-]{1,200}))?", re.ASCII)
_PATIENCE = 10  # seconds
_FOLDER_FILES = ("*.json", "*.safetensors", "*.bin", "*.npy")


def is_address(path: Path | str) -> bool:
    """Say whether this means a place on the hub and not on this machine."""
    return str(path).startswith("hf:")


def name_of(address: Path | str) -> str:
    """Return what a model of this address may be called: its repository's name."""
    return _parse(str(address))[0].rpartition("/")[2]


def fetch(address: Path | str, *, folder: bool) -> Path:
    """Bring a checkpoint to this machine.

    Args:
        address: `hf:owner/name[:file]`.
        folder: the reader wants a folder (of JSON and weights) and not one file.

    Returns:
        The file or folder.

    Raises:
        BadInput: it is not an address; or the repository holds several checkpoints and none was named.
        CheckpointError: the hub cannot be reached, or has no such thing.
    """
    repository, inside = _parse(str(address))
    try:
        return _fetch(repository, inside, folder)
    except BadInput:
        raise
    except Exception as error:  # the hub's client passes on whatever goes wrong in the network below it
        first = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise CheckpointError(
            f"{address} cannot be fetched from the Hugging Face hub: {first[:300]} Check the address and the network, or "
            "get the file in another way and give its path."
        ) from error


def _fetch(repository: str, inside: str, folder: bool) -> Path:
    from huggingface_hub import HfApi, hf_hub_download, snapshot_download

    patterns = [f"{inside}/{ending}" if inside else ending for ending in _FOLDER_FILES]

    def get(*, cached: bool) -> Path:
        if not folder:
            return Path(hf_hub_download(repository, inside, local_files_only=cached))
        return Path(snapshot_download(repository, allow_patterns=patterns, local_files_only=cached)) / inside

    with suppress(Exception):  # not here yet
        # a folder counts as here once its configuration is: the hub's client cannot say whether all of it was fetched
        if (place := get(cached=True)).is_file() or (place / "config.json").is_file():
            return place
    info = HfApi().model_info(repository, timeout=_PATIENCE)  # fails at once; the other calls try for half a minute
    names = [file.rfilename for file in info.siblings or ()]
    if not folder and not inside:
        inside = _choose_checkpoint(names, repository)
    if inside and not any(name == inside or name.startswith(f"{inside}/") for name in names):
        raise FileNotFoundError(f"the repository has no {inside!r}.")
    return get(cached=False)


def _parse(address: str) -> tuple[str, str]:
    match = _ADDRESS.fullmatch(address)
    if match is None or ".." in PurePosixPath(match[2] or "").parts or (match[2] or "").startswith("/"):
        raise BadInput(f"{address[:120]!r} is not an address on the hub. Write hf:owner/name or hf:owner/name:file.")
    return match[1], (match[2] or "").rstrip("/")


def _choose_checkpoint(files: list[str], repository: str) -> str:
    checkpoints = sorted(file for file in files if file.endswith(TENSOR_FILES))
    if len(checkpoints) != 1:
        listing = ", ".join(checkpoints[:8]) or "none"
        raise BadInput(
            f"{repository} holds {len(checkpoints)} checkpoints ({listing}). Name one: hf:{repository}:FILE."
        )
    return checkpoints[0]
