"""The pages of pictures in a real browser: strokes, keys, what an address brings back, what stays with another model."""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import numpy as np
import pytest

from app.shell.environment import DATA_DIR_VARIABLE
from backend.data.images.png import encode_png
from tests.pages.conftest import ROOT
from tests.pages.image_models import IMAGES, image_dir, make_images  # noqa: F401  (a fixture)

pytestmark = [pytest.mark.browser, pytest.mark.timeout(240)]


@contextmanager
def serving(folder: Path) -> Iterator[str]:
    """The address of the pages alone: `python -m app` would begin to build the demos."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [
        sys.executable,
        "-m",
        "streamlit",
        "run",
        "app/main.py",
        "--server.port",
        str(port),
        "--server.headless",
        "true",
    ]
    environment = {**os.environ, DATA_DIR_VARIABLE: str(folder), "OMP_NUM_THREADS": "1"}
    process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        for _ in range(300):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.2)
        yield f"http://127.0.0.1:{port}/"
    finally:
        process.terminate()
        process.wait(20)


@contextmanager
def browsing(address: str) -> Iterator[Any]:
    """A tab of a real browser on the pages; errors in the page's own scripts fail the test."""
    playwright = pytest.importorskip("playwright.sync_api")
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    if chromium is None:
        pytest.skip("no browser is installed")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
        page = browser.new_page(base_url=address, viewport={"width": 1440, "height": 1200})
        page.set_default_timeout(60_000)
        problems: list[str] = []
        page.on("pageerror", lambda error: problems.append(str(error)))
        yield page
        browser.close()
        assert problems == []


@pytest.fixture(scope="module")
def address(image_dir):  # noqa: F811
    with serving(image_dir) as found:
        yield found


@pytest.fixture
def tab(address):
    with browsing(address) as page:
        yield page


def settled(tab) -> None:
    """Until the page is drawn to its foot and the map has stood still for a while."""
    tab.locator(".cs-foot").wait_for()
    tab.wait_for_function("!document.querySelector('[data-testid=stStatusWidget]')")
    before = None
    while (now := tab.locator("canvas.pane").first.bounding_box()) != before:
        before = now
        tab.wait_for_timeout(500)


def click(tab, row: int, column: int) -> None:
    """On a cell of the 8 x 8 cells of the first pane."""
    tab.wait_for_selector("canvas.pane")
    box = tab.locator("canvas.pane").first.bounding_box()
    tab.mouse.click(box["x"] + (column + 0.5) * box["width"] / 8, box["y"] + (row + 0.5) * box["height"] / 8)


def test_a_click_paints_the_address_brings_it_back_undo_takes_it_away_and_o_opens_the_code(tab):
    tab.goto(f"image_tokens?model={IMAGES}&item=2&tool=paint&code=11")
    click(tab, 3, 4)
    tab.get_by_text("1 of 64 cells edited").wait_for()
    assert "change=vq%3Apaint%3A11%4028" in tab.url
    tab.get_by_text("What your changes reach").wait_for()  # follows by itself
    tab.reload()
    tab.get_by_text("1 of 64 cells edited").wait_for()
    tab.get_by_role("button", name=re.compile("^Undo")).click()
    tab.get_by_text("What is lost").wait_for()
    assert "change=" not in tab.url
    click(tab, 0, 0)
    tab.get_by_text("1 of 64 cells edited").wait_for()
    tab.locator("canvas.pane").first.press("o")
    tab.wait_for_url(re.compile(rf"code\?model={IMAGES}&site=vq&code=11$"))


def test_o_opens_the_code_of_a_cell_that_was_chosen_where_most_is_lost(tab):
    tab.goto(f"image_tokens?model={IMAGES}&item=2&change=vq%3Apaint%3A11%400..63")  # every cell has code 11
    tab.get_by_text("Choose a cell on the map.").wait_for()
    tab.locator("a.patch-link").first.click()
    tab.wait_for_url(re.compile("cell="))
    tab.get_by_text(re.compile(r"^Row \d, column \d")).wait_for()
    tab.keyboard.press("o")
    tab.wait_for_url(re.compile(rf"code\?model={IMAGES}&site=vq&code=11$"))


def test_o_opens_the_code_at_once_though_the_page_is_still_being_drawn(tab):
    tab.goto(f"image_tokens?model={IMAGES}&item=2&change=vq%3Apaint%3A11%400..63")
    settled(tab)
    tab.locator("a.patch-link").first.click()
    tab.keyboard.press("o")  # the map still shows that nothing is chosen
    tab.wait_for_url(re.compile(rf"code\?model={IMAGES}&site=vq&code=11$"))


def test_o_means_the_cell_that_was_chosen_last_not_one_that_the_arrow_keys_left_behind(tab):
    tab.goto(f"image_tokens?model={IMAGES}&item=2&change=vq%3Apaint%3A11%400..63&change=vq%3Apaint%3A12%4063")
    settled(tab)
    first = tab.locator("canvas.pane").first
    first.focus()
    for _ in range(7):
        first.press("ArrowRight")
        first.press("ArrowDown")
    tab.get_by_text("row 7, column 7").wait_for()
    tab.locator("a.patch-link:not([href*='cell=63'])").first.click()
    tab.wait_for_url(re.compile("cell="))
    tab.get_by_role("heading", name=re.compile(r"^Row \d, column \d")).wait_for()
    tab.keyboard.press("o")
    tab.wait_for_url(re.compile(rf"code\?model={IMAGES}&site=vq&code=11$"))


def drag(tab, *places: tuple[int, int], pane: int = 0) -> None:
    """With the button held, in one jump from place to place (row and column of the 8 x 8 cells): as fast as can be."""
    box = tab.locator("canvas.pane").nth(pane).bounding_box()
    at = [(box["x"] + (c + 0.5) * box["width"] / 8, box["y"] + (r + 0.5) * box["height"] / 8) for r, c in places]
    tab.mouse.move(*at[0])
    tab.mouse.down()
    for place in at[1:]:
        tab.mouse.move(*place)
    tab.mouse.up()


def changes(tab) -> list[str]:
    return parse_qs(urlsplit(tab.url).query).get("change", [])


def test_a_stroke_paints_the_cells_it_touches_and_a_rectangle_is_a_tool_of_its_own(tab):
    tab.goto(f"image_tokens?model={IMAGES}&item=2&tool=paint&code=11")
    settled(tab)
    drag(tab, (1, 1), (1, 4), (4, 4))
    tab.wait_for_url(re.compile("change="))
    tab.wait_for_url(re.compile("cell=36$"))
    assert changes(tab) == ["vq:paint:11@9..12,20,28,36"]
    tab.goto(f"image_tokens?model={IMAGES}&item=2&tool=fill&code=11")
    settled(tab)
    drag(tab, (1, 1), (1, 4), (3, 4))
    tab.wait_for_url(re.compile("change="))
    assert changes(tab) == ["vq:paint:11@9..12,17..20,25..28"]


def test_a_stroke_that_leaves_the_picture_paints_nothing_outside_and_nothing_along_its_border(tab):
    tab.goto(f"image_tokens?model={IMAGES}&item=2&tool=paint&code=11")
    settled(tab)
    drag(tab, (1, 1), (-2, 1), (-2, 6), (1, 6))
    tab.wait_for_url(re.compile("change="))
    assert changes(tab) == ["vq:paint:11@1,6,9,14"]


def test_a_finger_paints_as_the_mouse_does(tab):
    tab.goto(f"image_tokens?model={IMAGES}&item=2&tool=paint&code=11")
    settled(tab)
    box = tab.locator("canvas.pane").first.bounding_box()
    finger = tab.context.new_cdp_session(tab)
    for kind, places in (("touchStart", [(2, 2)]), ("touchMove", [(2, 5)]), ("touchMove", [(4, 5)]), ("touchEnd", [])):
        points = [
            {"x": box["x"] + (c + 0.5) * box["width"] / 8, "y": box["y"] + (r + 0.5) * box["height"] / 8}
            for r, c in places
        ]
        finger.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})
    tab.wait_for_url(re.compile("change="))
    assert changes(tab) == ["vq:paint:11@18..21,29,37"]


def test_the_keyboard_paints_one_cell_or_a_rectangle(tab):
    tab.goto(f"image_tokens?model={IMAGES}&item=2&tool=paint&code=11&cell=9")
    settled(tab)
    first = tab.locator("canvas.pane").first
    first.press("ArrowRight")
    first.press("Shift+ArrowRight")
    first.press("Shift+ArrowDown")
    first.press("Enter")
    tab.wait_for_url(re.compile("change="))
    assert changes(tab) == ["vq:paint:11@10,11,18,19"]


def test_a_choice_that_was_away_for_a_while_is_marked_again_when_it_comes_back(tab, tmp_path):
    tab.goto(f"compare?tokenizer={IMAGES}")
    chosen = tab.locator("button[aria-checked=true]", has_text="Reconstruction")
    chosen.wait_for()
    tab.get_by_text("My own", exact=True).click()
    tab.get_by_text("No picture is chosen.").wait_for()
    file = tmp_path / "own.png"
    file.write_bytes(encode_png(np.full((64, 64, 3), 90, np.uint8)))
    tab.set_input_files("input[type=file]", file)
    chosen.wait_for()
    tab.get_by_text("of one picture, 128 x 128 pixels").wait_for()


_ZOOM = """() => {
  for (const e of document.querySelectorAll("*")) {
    const root = e.shadowRoot && e.shadowRoot.querySelector(".root");
    if (root && root.own && root.own.zoom) return [root.own.zoom, root.own.x, root.own.y];
  }
}"""


def test_another_tokenizer_shows_the_same_picture_cell_tool_and_zoom(tmp_path):
    make_images(tmp_path, items=24)
    make_images(tmp_path, (32,), items=24, name="other")
    with serving(tmp_path) as address, browsing(address) as tab:
        tab.goto(f"image_tokens?model={IMAGES}&item=3&cell=20&tool=fill&overlay=margin&code=5&change=vq:paint:7@0")
        settled(tab)
        for _ in range(2):
            tab.get_by_role("button", name="Zoom in").click()
        before = tab.evaluate(_ZOOM)
        tab.get_by_role("combobox", name="Model").click()
        tab.get_by_role("option", name="other", exact=True).click()
        tab.wait_for_url(re.compile("model=other"))
        tab.get_by_text("What is lost").wait_for()
        query = parse_qs(urlsplit(tab.url).query)
        expected = {"model": "other", "item": "3", "cell": "20", "tool": "fill", "overlay": "margin"}
        assert query == {name: [value] for name, value in expected.items()}
        assert before[0] > 2 and tab.evaluate(_ZOOM) == before
        tab.get_by_role("heading", name="Row 2, column 4").wait_for()


def test_a_picture_chosen_by_its_number_zero_stays_though_the_page_opens_elsewhere(tab):
    tab.goto(f"image_tokens?model={IMAGES}&item=1")
    number = tab.get_by_label(re.compile("^Number"))
    number.fill("0")
    number.press("Enter")
    tab.wait_for_url(re.compile("item=0"))
    tab.get_by_text("item 0").wait_for()
    assert "overlay" not in tab.url


_SHOWN = """canvas => {
  const pen = canvas.getContext("2d"), half = canvas.width / 2, at = (x) => [...pen.getImageData(x, half, 1, 1).data];
  return [at(4), at(half - 4), at(canvas.width - 4)];
}"""


def test_a_reconstruction_is_shown_whole_until_the_original_is_laid_over_it(tab):
    tab.goto(f"compare?tokenizer={IMAGES}&n=1")
    tab.get_by_text("Time per picture").wait_for()
    original, rebuilt = (tab.locator(".cell canvas").nth(number) for number in (0, 1))
    slider = tab.locator("input[type=range]")
    assert slider.input_value() == "0"
    whole, source = rebuilt.evaluate(_SHOWN), original.evaluate(_SHOWN)
    slider.evaluate("s => { s.value = 100; s.dispatchEvent(new Event('input')); }")
    assert whole != source and rebuilt.evaluate(_SHOWN)[:2] == source[:2] != whole[:2]


def test_pictures_of_300_pixels_a_side_are_square(tab):
    tab.goto(f"compare?tokenizer={IMAGES}")  # 300 is the width that a new canvas has, and its height is 150
    canvas = tab.locator(".cell canvas").first
    canvas.wait_for()
    assert tab.evaluate("devicePixelRatio") == 1
    assert canvas.evaluate("c => [c.width, c.height]") == [300, 300]


def test_the_lens_of_an_image_model_is_its_token_map(tab):
    tab.goto(f"lens?model={IMAGES}&item=3&place=10")
    tab.wait_for_url(re.compile(rf"image_tokens\?model={IMAGES}(&site=vq)?&item=3&cell=10$"))
    tab.get_by_role("heading", name="Row 1, column 2").wait_for()
