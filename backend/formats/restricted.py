"""Reading a file of `torch.save` that somebody else made, without running anything that is in it.

1. `torch.load(weights_only=True)` reads nearly all of them.
2. Where it refuses, a pickle reader of our own rebuilds tensors and plain containers from an allow-list. Everything
   else becomes a `Placeholder`, which swallows what the pickle wants to do with it; no module is ever imported.
3. A pickle that names something able to run commands is refused as a whole.
"""

from __future__ import annotations

import builtins
import collections
import io
import mmap
import pickle
import struct
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from backend.errors import CheckpointError

_PLAIN = ("set", "frozenset", "list", "dict", "tuple", "int", "float", "bool", "str", "bytes", "complex", "slice")
_DANGEROUS = frozenset(
    "os posix nt subprocess sys shutil socket runpy importlib ctypes pty commands code codeop webbrowser builtins "
    "__builtin__ pickle cloudpickle dill marshal tempfile multiprocessing threading signal operator".split()
)
_STORAGES = {
    "DoubleStorage": torch.float64,
    "FloatStorage": torch.float32,
    "HalfStorage": torch.float16,
    "BFloat16Storage": torch.bfloat16,
    "LongStorage": torch.int64,
    "IntStorage": torch.int32,
    "ShortStorage": torch.int16,
    "CharStorage": torch.int8,
    "ByteStorage": torch.uint8,
    "BoolStorage": torch.bool,
}


class Placeholder:
    """Stands for an object of a class that is not imported. `name` says which."""

    name = "?"

    def __new__(cls, *args: Any, **kwargs: Any) -> Placeholder:
        """Ignore all arguments."""
        return super().__new__(cls)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        """Ignore all arguments."""

    def __setstate__(self, state: Any) -> None:
        """Ignore the state."""

    def __setitem__(self, key: Any, value: Any) -> None:
        """Ignore the item."""

    def __call__(self, *args: Any, **kwargs: Any) -> Placeholder:
        """Ignore the call."""
        return self

    def append(self, value: Any) -> None:
        """Ignore the value."""

    def extend(self, values: Any) -> None:
        """Ignore the values."""


@dataclass(frozen=True)
class TorchFile:
    """What a file of `torch.save` holds.

    Attributes:
        content: tensors and plain containers; a `Placeholder` for everything else.
        skipped: names of the classes and functions that were replaced by placeholders, sorted.
    """

    content: Any
    skipped: tuple[str, ...] = ()


def read_torch(path: Path) -> TorchFile:
    """Read a `.bin`, `.pt`, `.pth` or `.ckpt` file onto the CPU; tensors stay on the disk until they are used.

    Raises:
        CheckpointError: it is missing, cut off, not a torch file, or wants to run something.
    """
    try:
        packed = zipfile.is_zipfile(path)
        if packed:
            with zipfile.ZipFile(path) as archive:
                _check_entries(archive, path)
        return TorchFile(torch.load(path, map_location="cpu", weights_only=True, mmap=packed))
    except FileNotFoundError as error:
        raise CheckpointError(f"There is no file {path}. Give a folder that has one.") from error
    except (
        OSError,
        RuntimeError,
        EOFError,
        ValueError,
        KeyError,
        TypeError,
        AttributeError,
        pickle.UnpicklingError,
        zipfile.BadZipFile,
    ):
        pass  # what it cannot read, or does not trust, is read below
    try:
        with zipfile.ZipFile(path) as archive:
            return _read_archive(archive, path)
    except CheckpointError:
        raise
    except (zipfile.BadZipFile, OSError, EOFError, KeyError) as error:
        raise CheckpointError(
            f"{path} cannot be read as a file of torch.save ({error}). It is cut off or something else: copy it again."
        ) from error
    except Exception as error:  # a pickle made by somebody else can fail in any way
        raise CheckpointError(
            f"{path} is not a readable pickle of tensors ({type(error).__name__}: {error}). Save it again as safetensors."
        ) from error


def _check_entries(archive: zipfile.ZipFile, path: Path) -> None:
    """Refuse entries that are compressed, which could unpack to any size, and wrong checksums.

    `torch.save` itself packs without compressing.
    """
    if packed := next((info for info in archive.infolist() if info.compress_type != zipfile.ZIP_STORED), None):
        raise CheckpointError(
            f"{path}: {packed.filename!r} is compressed, which torch.save never does. It is refused; save it again."
        )
    try:
        damaged = archive.testzip()  # torch itself does not look
    except zipfile.BadZipFile as error:
        damaged = str(error)
    if damaged is not None:
        raise CheckpointError(f"{path} is damaged: the checksum of {damaged!r} is wrong. Copy the file again.")


def _read_archive(archive: zipfile.ZipFile, path: Path) -> TorchFile:
    pickled = next((name for name in archive.namelist() if name.endswith("data.pkl")), None)
    if pickled is None:
        raise CheckpointError(f"{path} is a zip archive without data.pkl, so it was not written by torch.save.")
    prefix = pickled[: -len("data.pkl")]
    order = f"{prefix}byteorder"
    if order in archive.namelist() and archive.read(order) != b"little":
        raise CheckpointError(f"{path} was written on a big-endian machine. Save it again as safetensors.")
    reader = _Reader(io.BytesIO(archive.read(pickled)), archive, prefix, path)
    content = reader.load()
    return TorchFile(content, tuple(sorted(reader.skipped)))


class _Reader(pickle.Unpickler):
    def __init__(self, file: io.BytesIO, archive: zipfile.ZipFile, prefix: str, path: Path) -> None:
        super().__init__(file)
        self.skipped: set[str] = set()
        self._archive, self._prefix, self._path = archive, prefix, path
        self._storages: dict[str, torch.Tensor] = {}
        with path.open("rb") as whole:  # private to us: a change of a tensor never reaches the file
            self._mapped = mmap.mmap(whole.fileno(), 0, access=mmap.ACCESS_COPY)

    def find_class(self, module: str, name: str) -> Any:
        allowed = _find_allowed(module, name)
        if allowed is not None:
            return allowed
        full = f"{module}.{name}"
        if module.split(".")[0] in _DANGEROUS:
            raise CheckpointError(
                f"{self._path} holds code: its pickle calls {full}. It is refused and nothing was run. "
                "Get the weights as safetensors, from somebody you trust."
            )
        self.skipped.add(full)
        return type("Placeholder", (Placeholder,), {"name": full})

    def persistent_load(self, identity: Any) -> torch.Tensor:
        kind, dtype, key, _, count = identity
        if kind != "storage" or not isinstance(dtype, torch.dtype):
            raise CheckpointError(
                f"{self._path} refers to {str(identity)[:80]}, which is not the storage of a tensor. It is refused."
            )
        if key not in self._storages:
            entry = self._archive.getinfo(f"{self._prefix}data/{key}")
            if entry.file_size != count * dtype.itemsize:  # a larger count would read what lies behind it in the file
                raise CheckpointError(
                    f"{self._path}: storage {key} has {entry.file_size} bytes instead of {count * dtype.itemsize}."
                )
            self._storages[key] = (
                torch.frombuffer(self._mapped, dtype=dtype, count=count, offset=_start(entry, self._mapped))
                if count
                else torch.empty(0, dtype=dtype)
            )
        return self._storages[key]


def _start(entry: zipfile.ZipInfo, mapped: mmap.mmap) -> int:
    """Return where the bytes of an entry begin: behind its header of 30 bytes, its name and its extra field."""
    # read from the entry itself: its copy in the archive's directory may have another extra field
    name, extra = struct.unpack_from("<HH", mapped, entry.header_offset + 26)
    return entry.header_offset + 30 + int(name) + int(extra)


def _find_allowed(module: str, name: str) -> Callable[..., Any] | torch.dtype | None:
    if module == "torch" and name in _STORAGES:
        return _STORAGES[name]
    if module == "torch" and isinstance(dtype := getattr(torch, name, None), torch.dtype):
        return dtype
    if module in ("builtins", "__builtin__") and name in _PLAIN:
        return getattr(builtins, name)
    rebuilders: dict[tuple[str, str], Callable[..., Any]] = {
        ("collections", "OrderedDict"): collections.OrderedDict,
        ("torch", "Size"): tuple,
        ("torch._utils", "_rebuild_tensor_v2"): _rebuild_tensor,
        ("torch._utils", "_rebuild_parameter"): _rebuild_parameter,
    }
    return rebuilders.get((module, name))


def _rebuild_tensor(storage: torch.Tensor, offset: int, size: Any, stride: Any, *_: Any) -> torch.Tensor:
    return storage.as_strided(tuple(size), tuple(stride), offset)  # torch itself checks the bounds


def _rebuild_parameter(data: torch.Tensor, *_: Any) -> torch.Tensor:
    return data
