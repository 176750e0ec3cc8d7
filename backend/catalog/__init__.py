"""Which models there are: one TOML file per model, shipped in `backend/catalog/` or added under `<data_dir>/catalog/`.

A model in the data directory hides a shipped one of the same name, so that a person can train it again.
"""

from __future__ import annotations

import dataclasses
import re
import sys
import tomllib
from pathlib import Path

from backend.errors import BadInput, CatalogError, CheckpointError, OutsideDataDir, UnknownModel
from backend.files import write_atomically
from backend.types import ModelSpec

ROOT = Path(__file__).resolve().parents[2]
SHIPPED = Path(__file__).resolve().parent
DEFAULT_DATA_DIR = ROOT / "data_cache"
_NAME = re.compile(r"[A-Za-z0-9][\w.-]{0,99}", re.ASCII)
_TOML = {str: "a text", dict: "a table", int: "a whole number"}
_KIND = re.compile(r"[a-z][a-z_]{0,39}", re.ASCII)


def check_name(name: str) -> str:
    """Return `name` if it can name a model and a file; raise `BadInput` otherwise."""
    if not _NAME.fullmatch(name):
        raise BadInput(
            f"{name[:80]!r} cannot name a model. Use up to 100 letters, digits, '.', '_' and '-', "
            "starting with a letter or digit."
        )
    return name


def inside(folder: Path, path: str | Path) -> Path:
    """Resolve `path` below `folder`, following links; raise `OutsideDataDir` if it leads out."""
    folder = folder.resolve()
    resolved = (folder / path).resolve()
    if not resolved.is_relative_to(folder):
        raise OutsideDataDir(f"{str(path)[:200]!r} leads out of {folder}. Give a path inside it.")
    return resolved


def read_spec(path: Path) -> ModelSpec:
    """Read one catalog file.

    Raises:
        CatalogError: not TOML, a key that is missing, unknown or of the wrong type.
    """
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, OSError) as error:
        raise CatalogError(f"{path} cannot be read as TOML: {error}. Mend or delete the file.") from error
    fields = {f.name: f for f in dataclasses.fields(ModelSpec)}
    unknown = sorted(data.keys() - fields.keys())
    required = {
        n for n, f in fields.items() if f.default is dataclasses.MISSING and f.default_factory is dataclasses.MISSING
    }
    missing = sorted(required - data.keys())
    if unknown or missing:
        raise CatalogError(f"{path}: unknown keys {unknown}, missing keys {missing}. Known keys: {sorted(fields)}.")
    for name in data:
        expected: type = str
        if name in ("dataset", "settings", "published"):
            expected = dict
        elif name == "demo":
            expected = int
        if not isinstance(data[name], expected):
            raise CatalogError(f"{path}: {name!r} must be {_TOML[expected]}, not {data[name]!r}.")
    if not _KIND.fullmatch(data["kind"]):  # whether it is that of the family is seen where families are known
        raise CatalogError(f"{path}: kind must be a word in small letters, such as text, not {data['kind'][:40]!r}.")
    if not isinstance(data["dataset"].get("name"), str):
        raise CatalogError(f"{path}: [dataset] needs a 'name'.")
    try:
        check_name(data["name"])
    except BadInput as error:
        raise CatalogError(f"{path}: {error}") from None
    if data["name"] != path.stem:
        raise CatalogError(f"{path}: the file must be called {data['name']}.toml.")
    return ModelSpec(**data)


def write_spec(spec: ModelSpec, data_dir: Path) -> Path:
    """Add a model to a data directory and return its file, which is replaced at once or not at all."""
    import tomli_w  # only writing needs it

    path = inside(data_dir, Path("catalog") / f"{check_name(spec.name)}.toml")
    path.parent.mkdir(parents=True, exist_ok=True)
    plain = {k: v for k, v in dataclasses.asdict(spec).items() if v not in ({}, "", 0)}
    write_atomically(path, tomli_w.dumps(plain))
    return path


def models(data_dir: Path) -> dict[str, ModelSpec]:
    """Read all models, by name: the shipped ones, then those of the data directory, which win.

    A file that cannot be used is left out with a warning on stderr, so that it costs nobody the other models; `doctor`
    lists it, and asking for its model says what is wrong with it.
    """
    specs = {}
    for folder in (SHIPPED, data_dir / "catalog"):
        for path in sorted(folder.glob("*.toml")):
            try:
                spec = read_spec(path)
            except CatalogError as error:
                print(f"Warning: {error}", file=sys.stderr)
                continue
            specs[spec.name] = spec
    return specs


def is_own(name: str, data_dir: Path) -> bool:
    """Return whether a model was added to the data directory, in place of a shipped one or beside them."""
    return (data_dir / "catalog" / f"{name}.toml").is_file()


def find(name: str, data_dir: Path) -> ModelSpec:
    """Return the model of that name.

    Raises:
        UnknownModel: there is none; the message lists those there are.
    """
    specs = models(data_dir)
    # read again, so that a broken file of that name says what is wrong with it
    if name not in specs and _NAME.fullmatch(name) and (path := data_dir / "catalog" / f"{name}.toml").exists():
        return read_spec(path)
    if name not in specs:
        raise UnknownModel(f"There is no model {name[:80]!r}. Known models: {', '.join(sorted(specs)) or 'none yet'}.")
    return specs[name]


def checkpoint_folder(spec: ModelSpec, data_dir: Path) -> Path:
    """Return the folder with a model's weights: in the data directory, else among the shipped ones.

    Raises:
        CheckpointError: it is in neither.
        OutsideDataDir: the catalog names a path outside.
    """
    for folder in (data_dir, DEFAULT_DATA_DIR):
        path = inside(folder, spec.checkpoint)
        if path.is_dir():
            return path
    raise CheckpointError(
        f"The weights of {spec.name!r} are missing: there is no folder {spec.checkpoint} in {data_dir}. "
        f"Train or import the model again."
    )
