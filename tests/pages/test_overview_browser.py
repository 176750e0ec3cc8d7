"""The first page in a real browser: from a card to what its model does, and a build with a click."""

from __future__ import annotations

import re
import shutil

import pytest

from app.states.believing import far_target
from backend.explorer import Explorer
from tests.pages.image_models import IMAGES, prepare_images
from tests.pages.machine_models import CODED, machine_dir  # noqa: F401  (a fixture)
from tests.pages.test_app_browser import only_tab

playwright = pytest.importorskip("playwright.sync_api")
pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]
IDLE = "document.querySelector('[data-testid=stApp]')?.dataset.testScriptState === 'notRunning'"


@pytest.fixture(scope="module")
def data_dir(machine_dir, tmp_path_factory):  # noqa: F811
    """The machine, built, and an image tokenizer that is not."""
    folder = tmp_path_factory.mktemp("front") / "data"
    shutil.copytree(machine_dir, folder)
    return prepare_images(folder, codes=(8,))


@pytest.fixture(scope="module")
def page(data_dir):
    """A tab of a running app; errors in the page's own script fail the test."""
    with only_tab(data_dir, width=1440, timeout=60_000) as tab:
        yield tab


def card(page, model: str):
    """The card of a model."""
    return page.locator("[class*=st-key-card-]", has=page.locator("h3", has_text=re.compile(f"^{model}$")))


def test_one_click_on_the_first_card_shows_the_model_believe_another_state(page, data_dir):
    page.goto("")
    first = page.locator("[class*=st-key-card-]").first
    first.get_by_text("Try this:").wait_for()
    assert first.locator("h3").inner_text() == CODED
    assert first.locator(".sample .fires").count() > 0
    page.wait_for_selector("html[data-codescope=ready]", state="attached")
    first.get_by_text("Try this:").click()
    page.get_by_text("How far it believes").wait_for()
    assert "view=believe" in page.url
    page.wait_for_function(IDLE)
    shown = page.locator("table[aria-label^='normalised']").inner_text()
    walk = page.get_by_label(re.compile("^Walk")).input_value()
    explorer = Explorer(data_dir)
    target = far_target(explorer.machine(CODED), walk.split()[-1])
    found = explorer.live(CODED).believe(walk, target, at=len(walk.split()) - 1)
    assert f"{found.normalized:.3f}" in shown


def test_a_click_on_build_shows_how_far_it_is_and_then_the_card_and_its_edit(page):
    page.goto("")
    tile = card(page, IMAGES)
    tile.get_by_role("button", name="Build", exact=True).click()
    tile.get_by_role("progressbar").wait_for()
    tile.get_by_text("Try this:").wait_for(timeout=180_000)
    assert tile.locator(".pair img").count() == 4
    page.wait_for_function(IDLE)
    tile.get_by_text("Try this:").click()
    page.get_by_text("cells edited", exact=True).wait_for()
    assert f"model={IMAGES}" in page.url and "change=" in page.url


@pytest.mark.parametrize("width", [1440, 900])
def test_nothing_of_the_gallery_is_cut(page, width):
    page.set_viewport_size({"width": width, "height": 1000})
    page.goto("")
    page.locator(".cs-foot").wait_for()
    page.wait_for_function(IDLE)
    cut = page.evaluate(
        """() => [...document.querySelectorAll('.st-key-gallery *, .stMain')]
        .filter((e) => e.scrollWidth > e.clientWidth + 1 && e.clientWidth > 0 && getComputedStyle(e).display !== 'inline')
        .map((e) => `${e.tagName}.${e.className}`)"""
    )
    assert cut == []
    page.set_viewport_size({"width": 1440, "height": 1000})
