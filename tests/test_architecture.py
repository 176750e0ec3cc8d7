"""Who may import whom (the design's picture), read off the source: nothing is imported to find out."""

from __future__ import annotations

import ast
import re
import sys
import warnings
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

from backend.data.datasets import SOURCES as DATA_SETS
from backend.families import FAMILIES

ROOT = Path(__file__).resolve().parents[1]
SOURCES = sorted(p for top in ("backend", "app", "pages") for p in (ROOT / top).rglob("*.py"))
EVERYTHING = [*SOURCES, *sorted((ROOT / "tests").rglob("*.py"))]
LINES = 500  # past so many lines a file is worth splitting by question: said, not refused
# Every room may import those that stand behind it, and none in front: the design's picture, from pages to errors.
ROOMS = (
    *("pages", "app.lens", "app", "app.code", "app.images", "app.steer", "app.overview", "app.lists", "app.help"),
    *("app.states", "app.search", "app.shell", "app.components", "app.draw"),
    *("backend.__main__", "backend.commands", "backend.jobs", "backend.explorer", "backend.questions"),
    *(*FAMILIES.values(), "backend.build", "backend.train"),
    *("backend.families", "backend.store", "backend.cli", "backend.data", "backend.nn", "backend.families.kind"),
    *("backend.calls", "backend.catalog", "backend.answers", "backend.analysis", "backend.formats"),
    *("backend.types", "backend.edits", "backend.files", "backend.errors"),
)
APP = (
    "torch",
    "transformers",
    "duckdb",
    "backend.families",
    "backend.nn",
    "backend.store",
    "backend.questions",
    "pages",
    "tests",
)
# what no module of the left may import, directly or inside a function, besides what stands in front of it
FORBIDDEN = {
    "backend": ("streamlit", "gradio", "app", "pages", "tests"),
    "app": (*APP, "pages", "tests"),
    "pages": APP,
    "backend/data": ("torch", "transformers"),
    "backend/analysis": ("torch", "transformers"),
    "backend/questions": ("torch", "transformers", "backend.families", "backend.build"),
    "backend/store": ("torch", "transformers"),
    "backend/families": ("backend.questions", "backend.store", "backend.build", "backend.explorer"),
    "backend/types.py": ("torch", "duckdb", "pandas"),
    "backend/errors.py": ("backend", "numpy", "torch"),
}
# may be imported only inside functions, so that reading pages and commands start fast
LATE = {
    "backend/explorer.py": ("torch", "transformers", "backend.nn"),
    "backend/families/__init__.py": ("torch", "transformers", "backend.families.transformer"),
    "backend/build/precompute.py": ("torch", "transformers", "backend.nn"),
    "backend/__main__.py": ("torch", "transformers", "duckdb", "pandas"),
    "backend/commands": ("torch", "transformers", "duckdb", "pandas", "backend.nn"),
    "backend/jobs/importing.py": ("torch", "transformers"),
    "backend/jobs/reproduce.py": ("torch", "transformers"),
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


def module_of(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


MODULES = {module_of(path): path for path in SOURCES}


def arrows() -> dict[str, set[str]]:
    """File -> files that it imports, at the top or inside a function."""
    found = {}
    for module, path in MODULES.items():
        names = set(imports(path))
        # `from a import b` names a and a.b: where a.b is a file, it is that which is imported
        found[module] = {
            n for n in names if n in MODULES and not any(m.startswith(f"{n}.") and m in MODULES for m in names)
        }
    return found


def room_of(module: str) -> str:
    """The room that a file stands in: the longest name of `ROOMS` that it begins with."""
    return max((room for room in ROOMS if module == room or module.startswith(f"{room}.")), key=len)


def circles(graph: dict[str, set[str]]) -> list[tuple[str, ...]]:
    try:
        tuple(TopologicalSorter(graph).static_order())
    except CycleError as error:
        return [tuple(error.args[1])]
    return []


def test_every_file_stands_in_a_room_and_every_room_has_files() -> None:
    assert {room_of(module) for module in MODULES if module != "backend"} == set(ROOMS)


def test_no_files_import_each_other_in_a_circle() -> None:
    assert circles(arrows()) == []


def test_rooms_import_only_what_stands_behind_them() -> None:
    place = {room: number for number, room in enumerate(ROOMS)}
    against = [
        (module, other)
        for module, others in arrows().items()
        for other in others
        if module != "backend" and place[room_of(module)] > place[room_of(other)]
    ]
    assert against == []


def test_families_do_not_import_each_other() -> None:
    families = [room for room in ROOMS if room.startswith("backend.families.") and room != "backend.families.kind"]
    assert len(families) == len(FAMILIES)
    found = [
        (module, other)
        for module, others in arrows().items()
        for other in others
        if {room_of(module), room_of(other)} <= set(families) and room_of(module) != room_of(other)
    ]
    assert found == []


def test_nobody_but_its_room_and_the_registries_names_a_family() -> None:
    allowed = ("backend/families/", "backend/catalog/")
    found = [
        (named(path), node.value)
        for path in SOURCES
        if not named(path).startswith(allowed)
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Constant) and node.value in FAMILIES.keys() - DATA_SETS.keys()  # which may share a name
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


def test_no_file_is_called_utils_and_long_ones_are_named() -> None:
    lengths = {named(path): len(path.read_text(encoding="utf-8").splitlines()) for path in SOURCES}
    if long := {name: n for name, n in lengths.items() if n > LINES}:
        warnings.warn(f"Files worth splitting by question: {long}", stacklevel=1)
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
