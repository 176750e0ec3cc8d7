"""The way of an interested person in a real browser: Search, a code, Steer, and the result is read; then States."""

from __future__ import annotations

import re

import pytest

from backend.explorer import Explorer
from backend.types import Edit, Sampling
from tests.pages.machine_models import CODED, MACHINE, machine_dir  # noqa: F401  (a fixture)
from tests.pages.test_app_browser import only_tab

playwright = pytest.importorskip("playwright.sync_api")
pytestmark = [pytest.mark.browser, pytest.mark.timeout(240)]


@pytest.fixture(scope="module")
def page(machine_dir):  # noqa: F811
    """A tab of a running app; errors in the page's own script fail the test."""
    with only_tab(machine_dir, width=1500, timeout=30_000) as tab:
        yield tab


def settled(page) -> None:
    """Until the page has been drawn to its foot."""
    page.locator(".cs-foot").wait_for()
    page.wait_for_selector("html[data-codescope=ready]", state="attached")
    page.wait_for_function("!document.querySelector('[data-testid=stStatusWidget]')")


def at(page, address: str) -> None:
    """Until the address matches a regular expression."""
    page.wait_for_function("address => new RegExp(address).test(location.href)", arg=address)


def test_from_search_to_a_code_to_steer_and_the_text_is_what_the_model_writes(page, machine_dir):  # noqa: F811
    page.goto(f"search?model={CODED}&field=state read&value=12&site=L0.mlp")
    chip = page.locator("a.chip").first
    chip.wait_for()
    site, code = chip.locator(".site").inner_text(), int(chip.locator(".id").inner_text())
    chip.click()
    at(page, rf"/code\?.*code={code}")
    page.get_by_text("Steer with this code").wait_for()
    settled(page)
    page.get_by_text("Steer with this code").click()
    at(page, r"/steer\?")
    page.get_by_text("valid steps, steered").wait_for()
    settled(page)
    page.wait_for_function("document.querySelector('textarea[aria-label^=Prompt]')?.value")
    prompt = page.get_by_label(re.compile("^Prompt")).input_value()
    live = Explorer(machine_dir).live(CODED)
    expected = live.generate(prompt, Sampling(max_new_tokens=40), edits=[Edit(site, code)])[0].text
    plain = live.generate(prompt, Sampling(max_new_tokens=40))[0].text
    texts = page.locator(".cs .text").all_inner_texts()
    assert [t.strip() for t in texts] == [plain, expected]

    page.get_by_role("slider", name="Strength").focus()
    page.keyboard.press("ArrowLeft")
    at(page, r"edit=[^&]*0\.99")


def test_the_foot_follows_a_part_of_the_page_that_runs_alone(page):
    page.goto(f"code?model={CODED}&site=L0.mlp&code=3")
    settled(page)
    before = page.locator(".cs-foot").inner_text()
    assert "to the model itself" not in before
    page.get_by_role("button", name="Measure the effect").click()
    page.locator(".stVegaLiteChart").last.wait_for()
    page.wait_for_function("document.querySelector('.cs-foot')?.innerText.includes('1 to the model itself')")
    page.reload()
    settled(page)
    page.locator(".stVegaLiteChart").last.wait_for()
    page.wait_for_function("document.querySelector('.cs-foot')?.innerText.includes('what is shown from earlier took')")


def point_at_a_mark(page, number=0):
    """Move the pointer along the first row of a matrix of the page until a mark says what it is; returns what it says."""
    canvas, tip = page.locator(".root canvas").nth(number), page.locator(".root .tip").nth(number)
    canvas.scroll_into_view_if_needed()
    box = canvas.bounding_box()
    for across in range(40, int(box["width"]), 6):
        page.mouse.move(box["x"] + across, box["y"] + 9)
        if tip.is_visible():
            return tip.inner_text()
    raise AssertionError("no mark in the first row")


def test_a_mark_of_the_matrix_says_its_counts_and_a_click_opens_the_code(page, machine_dir):  # noqa: F811
    page.goto(f"states?model={CODED}&site=L0.mlp")
    page.locator(".root canvas").wait_for()
    settled(page)
    said = point_at_a_mark(page)
    found = re.match(r"state 00, code (\d+)\n([\d,]+) of ([\d,]+) readings of the state", said)
    assert found is not None, said
    view = Explorer(machine_dir).states(CODED, "L0.mlp").matrix
    own = view[(view["state"] == "00") & (view["code"] == int(found[1]))]
    assert int(own["count"].iloc[0]) == int(found[2].replace(",", ""))
    page.mouse.down()
    page.mouse.up()
    at(page, rf"/code\?.*site=L0\.mlp&code={found[1]}$")
    page.get_by_text("Strongest").wait_for()


def test_a_mark_of_the_transitions_chooses_its_state(page):
    page.goto(f"states?model={CODED}&site=L0.mlp&view=transitions&state=02")
    page.get_by_text("Successors of 02").wait_for()
    settled(page)
    assert point_at_a_mark(page, 1).startswith("from 00, to ")
    page.mouse.down()
    page.mouse.up()
    at(page, r"state=00")
    page.get_by_text("Successors of 00").wait_for()


def test_a_belief_leads_to_steer_with_the_same_edits(page, machine_dir):  # noqa: F811
    page.goto(f"states?model={CODED}&view=believe&item=1&target=10")
    page.get_by_text("How far it believes").wait_for()
    settled(page)
    shown = page.locator("table[aria-label^='normalised']").inner_text()
    walk = page.get_by_label(re.compile("^Walk")).input_value()
    found = Explorer(machine_dir).live(CODED).believe(walk, "10", at=7)
    assert f"{found.normalized:.3f}" in shown and len(walk.split()) == 8 and MACHINE.digits == 2
    page.get_by_text("Open in Steer").click()
    at(page, r"/steer\?")
    page.get_by_text("valid steps, steered").wait_for()
    assert page.url.count("edit=") == len(found.edits)
    settled(page)
    page.wait_for_function("w => [...document.querySelectorAll('textarea')].some(t => t.value === w)", arg=walk)


def test_a_click_on_measure_is_answered_where_it_can_be_seen(page):
    page.set_viewport_size({"width": 1500, "height": 620})
    try:
        page.goto(f"steer?model={CODED}&edit=L0.mlp:3&prompt=01 02&new=12&success=0&n=60")
        settled(page)
        page.get_by_role("button", name="Measure", exact=True).click()
        result = page.locator("table", has_text="random codes (control)")
        result.wait_for()
        settled(page)
        page.wait_for_function(
            "() => { const box = [...document.querySelectorAll('table')].find(t => t.textContent.includes('(control)'))"
            ".getBoundingClientRect(); return box.top > 0 && box.top < innerHeight - 100; }"
        )
    finally:
        page.set_viewport_size({"width": 1500, "height": 1000})
