"""Takes the README's screenshots from a running explorer: `python -m tests.pages.screenshots [http://127.0.0.1:8501]`."""

import json
import sys
from pathlib import Path
from urllib.parse import urlencode

from playwright.sync_api import sync_playwright

FOLDER = Path(__file__).resolve().parents[2] / "app" / "screenshots"
MODEL = "tokfsm-attn-mlp-k1"
STORIES, PICTURES, LARGE = "stories-attn-k8", "scenes-fvq-4096", "scenes-fvq-102400"


def edits(model: str, behaviour: str) -> str:
    """The edits that a search found, as an address has them."""
    found = json.loads((FOLDER.parents[1] / "data_cache" / "checkpoints" / model / "card.json").read_text())["edits"]
    return urlencode([("edit", edit) for edit in found[behaviour]])


VIEWS = {
    "overview": "",
    "codebooks": f"codebooks?model={MODEL}&site=L1.mlp",
    "code": f"code?model={MODEL}&site=L1.mlp&code=417",
    "search": f"search?model={MODEL}&pattern=%204(8)",
    "lens": f"lens?model={MODEL}&text=17%2042%2003%2048",
    "states": f"states?model={MODEL}&site=L1.mlp",
    "believe": f"states?model={MODEL}&view=believe",
    "steer": f"steer?model=stories-mlp&prompt=Once+there+was&new=120&temperature=0.7&{edits('stories-mlp', 'topic=circus')}",
    "lists": f"lists?model={MODEL}",
    "story_code": f"code?model={STORIES}&site=L0.attn.h0&code=268",
    "concepts": f"concepts?model={STORIES}",
    "image_tokens": f"image_tokens?model={PICTURES}&item=3&tool=copy&other=7&change=vq:copy:item.7@2.2.5.5%3E4.0",
    "image_code": f"code?model={PICTURES}&site=vq&code=417",
    "image_codebooks": f"codebooks?model={LARGE}",
    "compare": f"compare?tokenizer={PICTURES}&tokenizer=scenes-vq-4096&tokenizer={LARGE}",
}


def main(address: str, folder: Path, themes: tuple[str, ...] = ("light",)) -> None:
    """Draw every view, wait until nothing runs any more, and keep a picture of it."""
    folder.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox", "--disable-gpu"])
        for theme in themes:
            page = browser.new_page(viewport={"width": 1440, "height": 1000}, color_scheme=theme)
            for name, view in VIEWS.items():
                page.goto(f"{address}/{view}", timeout=120_000)
                page.wait_for_selector("[data-testid=stMain]", timeout=120_000)
                page.wait_for_timeout(4000)
                page.wait_for_function("() => !document.querySelector('[data-testid=stStatusWidget]')", timeout=120_000)
                page.wait_for_timeout(1500)
                suffix = "" if theme == "light" else f"-{theme}"
                page.screenshot(path=folder / f"{name}{suffix}.png", full_page=False)
                print(name + suffix, flush=True)
        browser.close()


if __name__ == "__main__":
    main(
        sys.argv[1] if len(sys.argv) > 1 else "http://127.0.0.1:8501",
        Path(sys.argv[2]) if len(sys.argv) > 2 else FOLDER,
        ("light", "dark") if len(sys.argv) > 2 else ("light",),
    )
