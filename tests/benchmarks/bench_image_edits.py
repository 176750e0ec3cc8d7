"""How soon an edit of a token map is seen: `python -m tests.benchmarks.bench_image_edits MODEL [--data-dir DIR]`.

1. `python -m app` is started on the data directory, in which the tokenizer and the demos have to be built, and a browser opens
   Image tokens with the brush in hand.
2. One cell after another is painted. The page itself measures, from the release of the button until the decoded picture
   is drawn.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from backend.catalog import DEFAULT_DATA_DIR
from tests.benchmarks.bench_pages import serving

MODEL = "scenes-fvq-1024"
GOAL = 300.0  # milliseconds, 95th percentile
WARM = 3  # strokes that are not counted
PAUSE = 400  # milliseconds between two strokes

_SHOWN = """() => {
  for (const e of document.querySelectorAll("*")) {
    const found = e.shadowRoot && e.shadowRoot.querySelector(".root");
    if (found && found.dataset.shown) return found.dataset.shown;
  }
}"""


def bench_edits(model: str, data_dir: Path = DEFAULT_DATA_DIR, strokes: int = 40) -> dict[str, Any]:
    """Paint `strokes` cells of the first picture of the build and say how long each took to be seen."""
    from playwright.sync_api import sync_playwright

    taken = []
    with serving(data_dir) as (base, _), sync_playwright() as driver:
        chromium = shutil.which("chromium") or shutil.which("google-chrome")
        browser = driver.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
        page = browser.new_page(base_url=base, viewport={"width": 1440, "height": 1200})
        page.goto(f"image_tokens?model={model}&tool=paint&code=0&item=0", timeout=180_000)
        page.wait_for_selector(".cs-foot", timeout=180_000)
        page.wait_for_timeout(2_000)
        for stroke in range(strokes + WARM):
            box = page.locator("canvas.pane").first.bounding_box()
            row, column = divmod(stroke * 11 % 64, 8)  # eighths of the picture, no two alike
            page.mouse.click(box["x"] + (column + 0.5) * box["width"] / 8, box["y"] + (row + 0.5) * box["height"] / 8)
            page.wait_for_function(_SHOWN, timeout=60_000)
            taken.append(float(page.evaluate(_SHOWN)))
            page.wait_for_timeout(PAUSE)
        browser.close()
    counted = taken[WARM:]
    return {
        "name": "an edit of a token map until it is seen, 95th percentile",
        "value": float(np.percentile(counted, 95)),
        "median": float(np.percentile(counted, 50)),
        "unit": "ms",
        "goal": f"<= {GOAL:.0f} ms",
        "n": len(counted),
        "load": os.getloadavg()[0],
    }


BENCHMARKS: dict[str, Callable[[bool], list[dict[str, Any]]]] = {
    "image-edits": lambda quick: [bench_edits(MODEL, strokes=8 if quick else 40)]
}

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("--data-dir", type=Path, default=DEFAULT_DATA_DIR)
    given = parser.parse_args()
    print(json.dumps(bench_edits(given.model, given.data_dir), indent=1))
