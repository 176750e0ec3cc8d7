"""What makes two partial builds the same: the build key, a hash of all that determines what is in their shards."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

from backend.catalog import checkpoint_folder
from backend.errors import CheckpointError
from backend.store import SCHEMA, SCHEMA_VERSION
from backend.types import ModelSpec


@dataclass(frozen=True)
class Limits:
    """What bounds a build's memory. They belong to the build's identity, because they decide how items are batched.

    Attributes:
        batch_positions: positions of one forward pass, at least one item.
        shard_bytes: most bytes of one shard in memory.
        neuron_positions: first positions whose neuron activations are kept, at most 65,536.
    """

    batch_positions: int = 8192
    shard_bytes: int = 32 * 2**20
    neuron_positions: int = 16_384


def build_key(spec: ModelSpec, checkpoint: str, items: int, seed: int, limits: Limits) -> str:
    """Hash all that determines a build's shards, and its schema, hex; how a store is made of shards is not in it."""
    parts = {
        "checkpoint": checkpoint,
        "spec": dataclasses.asdict(spec),
        "items": items,
        "seed": seed,
        "limits": dataclasses.asdict(limits),
        "schema": [SCHEMA_VERSION, SCHEMA.read_text(encoding="utf-8")],
        "code": code_version(),
    }
    return hashlib.sha256(json.dumps(parts, sort_keys=True, default=str).encode()).hexdigest()


def hash_checkpoint(spec: ModelSpec, data_dir: Path) -> str:
    """Hash all files of a model's checkpoint, hex.

    Raises:
        CheckpointError: the folder is missing or cannot be read.
    """
    digest = hashlib.sha256()
    folder = checkpoint_folder(spec, data_dir)
    try:
        for path in sorted(p for p in folder.rglob("*") if p.is_file()):
            with open(path, "rb") as file:
                inner = hashlib.file_digest(file, "sha256").hexdigest()
            digest.update(f"{path.relative_to(folder)}\0{inner}\n".encode())
    except OSError as error:
        raise CheckpointError(
            f"The weights in {folder} cannot be read: {error}. Train or import them again."
        ) from error
    return digest.hexdigest()


def code_version() -> str:
    """Hash the source that decides what is in a shard, hex: shards made by other code are not continued."""
    digest = hashlib.sha256()
    root = Path(__file__).resolve().parent.parent
    parts = [root / "types.py", root / "build" / "shards.py"]
    for folder in ("data", "build/engines", "families", "nn"):
        parts += (root / folder).rglob("*.py")
    for path in sorted(parts):
        digest.update(str(path.relative_to(root)).encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:16]
