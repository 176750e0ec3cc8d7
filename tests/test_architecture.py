"""Who may import whom (the design's picture), read off the source: nothing is imported to find out."""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
SOURCES = sorted(p for top in ("backend", "app", "pages") for p in (ROOT / top).rglob("*.py"))
EVERYTHING = [*SOURCES, *sorted((ROOT / "tests").rglob("*.py"))]
LINES = 400
# what no module of the left may import, directly or inside a function
FORBIDDEN = {
    "backend": ("streamlit", "gradio", "app", "pages", "tests"),
    "app": (
        *("torch", "transformers", "duckdb", "backend.families", "backend.nn", "backend.questions", "backend.store"),
        *("pages", "tests"),
    ),
    "pages": (
        *("torch", "transformers", "duckdb", "backend.families", "backend.nn", "backend.questions", "backend.store"),
        "tests",
    ),
    "backend/questions": (
        "torch",
        "transformers",
        "backend.families",
        "backend.nn",
        "backend.train",
        "backend.explorer",
    ),
    "backend/nn": ("backend.families", "backend.formats", "backend.train", "backend.store", "backend.explorer"),
    "backend/data": ("torch", "transformers", "backend.families", "backend.formats", "backend.train", "backend.store"),
    "backend/formats": ("backend.families", "backend.train", "backend.store", "backend.data", "backend.explorer"),
    "backend/families": (
        "backend.train",
        "backend.store",
        "backend.explorer",
        "backend.build.precompute",
        "backend.commands",
    ),
    "backend/train": ("backend.store", "backend.explorer", "backend.build.precompute", "backend.commands"),
    "backend/analysis": ("torch", "transformers", "backend.families", "backend.nn", "backend.train"),
    "backend/store": ("torch", "transformers", "backend.families", "backend.nn", "backend.train", "backend.explorer"),
    "backend/types.py": ("torch", "duckdb", "pandas", "backend.families", "backend.nn", "backend.store"),
    "backend/errors.py": ("backend", "numpy", "torch"),
}
# may be imported only inside functions, so that reading pages and commands start fast
LATE = {
    "backend/explorer.py": (
        "torch",
        "transformers",
        "backend.families.transformer.live",
        "backend.families",
        "backend.nn",
    ),
    "backend/precompute.py": ("torch", "transformers", "backend.families", "backend.nn"),
    "backend/__main__.py": ("torch", "transformers", "duckdb", "pandas"),
    "backend/commands": (
        "torch",
        "transformers",
        "duckdb",
        "pandas",
        "backend.families",
        "backend.nn",
        "backend.train",
    ),
}


def imports(path: Path, *, late: bool = True) -> Iterator[str]:
    """Dotted names that a file imports: `from a import b` gives `a` and `a.b`; those for type checking do not count."""
    yield from _imports(ast.parse(path.read_text(encoding="utf-8")).body, late)


def _imports(body: list[ast.stmt], late: bool) -> Iterator[str]:
    for node in body:
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            yield from _imports(node.orelse, late)
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "relative import"
            yield from (node.module or "", *(f"{node.module}.{alias.name}" for alias in node.names))
        elif late or not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            for part in ("body", "orelse", "finalbody"):
                yield from _imports(getattr(node, part, []), late)
            for handler in getattr(node, "handlers", []):
                yield from _imports(handler.body, late)
            for case in getattr(node, "cases", []):
                yield from _imports(case.body, late)


def below(name: str, forbidden: tuple[str, ...]) -> bool:
    return any(name == one or name.startswith(f"{one}.") for one in forbidden)


def files(place: str) -> list[Path]:
    where = ROOT / place
    return [where] if where.suffix else sorted(where.rglob("*.py"))


def named(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


@pytest.mark.parametrize(("place", "forbidden"), FORBIDDEN.items(), ids=FORBIDDEN)
def test_nobody_imports_against_the_direction_of_the_design(place: str, forbidden: tuple[str, ...]) -> None:
    assert files(place), place
    assert [(named(p), name) for p in files(place) for name in imports(p) if below(name, forbidden)] == []


@pytest.mark.parametrize(("place", "forbidden"), LATE.items(), ids=LATE)
def test_what_starts_fast_imports_heavy_things_inside_functions_only(place: str, forbidden: tuple[str, ...]) -> None:
    assert files(place), place
    assert [(named(p), n) for p in files(place) for n in imports(p, late=False) if below(n, forbidden)] == []


def test_families_do_not_import_each_other() -> None:
    kinds = {p.stem for p in files("backend/families")} - {"__init__", "checkpoint"}
    found = [
        (named(path), name)
        for path in files("backend/families")
        if path.stem != "__init__"
        for name in imports(path)
        if below(name, tuple(f"backend.families.{kind}" for kind in kinds - {path.stem}))
    ]
    assert found == []


def test_pages_ask_for_capabilities_and_never_for_a_family_by_name() -> None:
    families = {p.stem for p in files("backend/families")} - {"__init__", "checkpoint"}
    found = [
        (named(path), node.value)
        for top in ("app", "pages")
        for path in files(top)
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Constant) and node.value in families
    ]
    assert found == []


def test_nothing_imports_torchvision_and_nothing_imports_with_a_star() -> None:
    names = [(named(path), name) for path in EVERYTHING for name in imports(path)]
    assert [entry for entry in names if entry[1].split(".")[0] == "torchvision" or entry[1].endswith(".*")] == []


def test_every_package_that_is_imported_is_required() -> None:
    required = (ROOT / "requirements.txt").read_text(encoding="utf-8")
    names = {
        re.split(r"[=<>]", line)[0].strip().lower().replace("-", "_")
        for line in required.splitlines()
        if line[:1].isalpha()
    }
    modules = {
        "google_re2": "re2",
        "umap_learn": "umap",
        "pillow": "PIL",
        "scikit_image": "skimage",
        "scikit_learn": "sklearn",
        "pyyaml": "yaml",
    }
    known = (
        {modules.get(name, name) for name in names}
        | set(sys.stdlib_module_names)
        | {"backend", "app", "pages", "tests"}
    )
    found = {name.split(".")[0] for path in SOURCES for name in imports(path)}
    assert found - known == set()
    assert sorted(name for name in names if modules.get(name, name) not in found) == []


def test_no_file_is_too_long_and_none_is_called_utils() -> None:
    lengths = {named(path): len(path.read_text(encoding="utf-8").splitlines()) for path in SOURCES}
    assert {name: n for name, n in lengths.items() if n > LINES} == {}
    assert [named(path) for path in EVERYTHING if path.stem in ("utils", "util", "helpers", "misc", "common")] == []


def test_no_file_names_a_place_on_somebody_s_machine() -> None:
    """Absolute paths below home and working directories; `/tmp` and system paths in examples are fine."""
    texts = [*EVERYTHING, *(ROOT / name for name in ("README.md", "pyproject.toml", "requirements.txt", ".ci/run"))]
    place = re.compile(r"(?<![\w.:/])/(?:home|root|Users|work|workspace|mnt|opt)/[\w.-]+")
    found = [(named(p), m[0]) for p in texts if p.exists() for m in place.finditer(p.read_text(encoding="utf-8"))]
    assert found == []


def test_nothing_unpickles_with_trust() -> None:
    """`torch.load` without `weights_only=True`, `pickle.load(s)` and `allow_pickle=True` run what a file says."""
    found = []
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.Call):
                continue
            called = ast.unparse(node.func)
            options = {k.arg: ast.unparse(k.value) for k in node.keywords}
            if called == "torch.load" and options.get("weights_only") != "True":
                found.append((named(path), ast.unparse(node)))
            if called in ("pickle.load", "pickle.loads") or options.get("allow_pickle") == "True":
                found.append((named(path), ast.unparse(node)))
    assert found == []
