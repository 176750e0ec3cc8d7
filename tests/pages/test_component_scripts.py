"""The scripts of our own components: they can be read by a browser, and a stroke paints exactly the cells it touches."""

from __future__ import annotations

import json
import math
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from tests.pages.conftest import ROOT

SCRIPTS = sorted((ROOT / "app").rglob("*.js"))


@pytest.fixture(scope="module")
def node() -> str:
    found = shutil.which("node")
    if found is None:
        pytest.skip("node is not installed")
    return found


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_every_script_is_a_module_that_can_be_read(node: str, script: Path, tmp_path: Path) -> None:
    module = tmp_path / f"{script.stem}.mjs"  # as a browser takes it: `export default` is no mistake
    module.write_text(script.read_text(encoding="utf-8"), encoding="utf-8")
    checked = subprocess.run([node, "--check", str(module)], capture_output=True, text=True, timeout=60)
    assert checked.returncode == 0, checked.stderr


def test_there_are_scripts_to_be_read() -> None:
    assert {"token_map.js", "wipe.js", "settled.js"} <= {path.name for path in SCRIPTS}


def touched(node: str, lines: list[list[float]], tmp_path: Path) -> list[list[tuple[int, int]]]:
    """What `cellsOnLine` of the token map says of each line: (row, column) of the cells, in order."""
    module = tmp_path / "token_map.mjs"
    module.write_text((ROOT / "app/components/token_map.js").read_text(encoding="utf-8"), encoding="utf-8")
    program = (
        f"import {{ cellsOnLine }} from {json.dumps(module.as_uri())};"
        f"console.log(JSON.stringify({json.dumps(lines)}.map((line) => cellsOnLine(...line))));"
    )
    said = subprocess.run(
        [node, "--input-type=module", "--eval", program], capture_output=True, text=True, timeout=60, check=True
    )
    return [[(row, column) for row, column in cells] for cells in json.loads(said.stdout)]


@pytest.mark.parametrize(
    ("line", "cells"),
    [
        ([2.5, 1.5, 2.5, 1.5], [(1, 2)]),  # a click
        ([0.5, 0.5, 3.5, 0.5], [(0, 0), (0, 1), (0, 2), (0, 3)]),
        ([1.5, 3.5, 1.5, 0.5], [(3, 1), (2, 1), (1, 1), (0, 1)]),
        ([0.5, 0.5, 2.5, 2.5], [(0, 0), (1, 1), (2, 2)]),  # through the corners
        ([2.5, 2.5, 0.5, 0.5], [(2, 2), (1, 1), (0, 0)]),
        ([0.2, 0.5, 2.2, 1.5], [(0, 0), (0, 1), (1, 1), (1, 2)]),
        ([0.5, 0.5, -0.5, 0.5], [(0, 0), (0, -1)]),  # out of the picture
    ],
)
def test_a_stroke_touches_the_cells_on_its_line_in_order(node, tmp_path, line, cells):
    assert touched(node, [line], tmp_path) == [cells]


def test_a_fast_stroke_touches_what_a_slow_one_on_the_same_line_touches(node, tmp_path):
    rng = np.random.default_rng(0)
    lines = rng.uniform(-2, 12, (200, 4)).tolist()
    steps = np.linspace(0, 1, 4001)
    for (x0, y0, x1, y1), cells in zip(lines, touched(node, lines, tmp_path), strict=True):
        walked = {
            (math.floor(y), math.floor(x)) for x, y in zip(x0 + steps * (x1 - x0), y0 + steps * (y1 - y0), strict=True)
        }
        assert walked <= set(cells)  # a cell of which less than a step is touched may be missing among the walked
        assert len(cells) == len(set(cells)) == 1 + abs(cells[-1][0] - cells[0][0]) + abs(cells[-1][1] - cells[0][1])
        assert all(abs(a - c) + abs(b - d) == 1 for (a, b), (c, d) in zip(cells, cells[1:], strict=False))
