"""The app in a real browser: `python -m app` is started, links and keys lead on and back, no data string runs."""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.backend import tiny_store
from tests.pages.conftest import MODEL, ROOT, make_store

playwright = pytest.importorskip("playwright.sync_api")
CODE = f"code?model={MODEL}&site=L0.mlp&code=11"
# What reaches out of the window, or is longer than the box that cuts it off; what can be scrolled to is not cut off.
CUT = """
() => [...document.querySelectorAll('.stMain *')].filter((e) => {
  const box = e.getBoundingClientRect(), style = getComputedStyle(e);
  if (!box.width || e.closest('.scroll, canvas, [class*=st-key-behind], a.chip') || style.position === 'fixed') return false;
  const hides = ['hidden', 'clip'].includes(style.overflowX) && e.childElementCount === 0 && e.textContent.trim();
  return box.right > innerWidth + 1 || (hides && e.scrollWidth > e.clientWidth + 1);
}).map((e) => `${e.tagName} ${e.className} ${e.textContent.slice(0, 60)}`)
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """Address of a running app on a small store."""
    data_dir = tmp_path_factory.mktemp("data")
    make_store(data_dir)
    with running(data_dir) as (port, process):
        yield f"http://127.0.0.1:{port}/"
    assert process.returncode == 0, "Ctrl-C has to end the app cleanly"
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", port)) != 0, "the web server is still there"


@contextmanager
def running(data_dir: Path) -> Iterator[tuple[int, subprocess.Popen[str]]]:
    """The app on a free port; Ctrl-C ends it."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    process = start(port, data_dir)
    try:
        wait(port, process)
        yield port, process
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(20)


@contextmanager
def launched():
    """A browser without a window."""
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    with playwright.sync_playwright() as driver:
        started = driver.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
        yield started
        started.close()


@contextmanager
def only_tab(data_dir: Path, *, width: int, timeout: int):
    """A tab of an app of its own; waits `timeout` milliseconds; an error in the page's own script fails the test."""
    with running(data_dir) as (port, _), launched() as browser:
        tab = browser.new_page(base_url=f"http://127.0.0.1:{port}/", viewport={"width": width, "height": 1000})
        tab.set_default_timeout(timeout)
        problems: list[str] = []
        tab.on("pageerror", lambda error: problems.append(str(error)))
        yield tab
        tab.close()
        assert not problems, problems


def start(port: int, data_dir: Path) -> subprocess.Popen[str]:
    """`python -m app` as a person would start it who wants nothing built beside the tests."""
    command = [sys.executable, "-m", "app", "--no-browser", "--port", str(port), "--data-dir", str(data_dir)]
    command += ["--demo", "none"]
    return subprocess.Popen(
        command, cwd=ROOT, stderr=subprocess.PIPE, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"}
    )


def wait(port: int, process: subprocess.Popen[str]) -> None:
    """Until the app says it is open."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    for _ in range(300):
        assert process.poll() is None, process.communicate()[1]
        try:
            opener.open(f"http://127.0.0.1:{port}/_stcore/health", timeout=2)
            return
        except OSError:
            time.sleep(0.2)
    raise AssertionError("the app did not start")


@pytest.fixture(scope="module")
def browser():
    """One browser for all tests of this file."""
    with launched() as started:
        yield started


@pytest.fixture
def page(browser, server):
    """A fresh tab; a dialog or an error in the page's own script fails the test."""
    tab = browser.new_page(base_url=server, viewport={"width": 1500, "height": 1000})
    tab.set_default_timeout(20_000)
    problems: list[str] = []
    tab.on("pageerror", lambda error: problems.append(str(error)))
    tab.on("dialog", lambda dialog: (problems.append("a dialog opened"), dialog.dismiss()))
    yield tab
    tab.close()
    assert problems == []


def heading(tab, text: str) -> None:
    """Wait until the page's heading is that."""
    tab.wait_for_function("t => document.querySelector('h1')?.innerText.replace(/\\s+/g, ' ') === t", arg=text)


def test_search_leads_to_a_code_and_back_leads_to_the_search(page):
    page.goto(f"search?model={MODEL}")
    page.fill("input[aria-label^=Pattern]", "[dD]er")
    page.keyboard.press("Enter")
    page.wait_for_selector("table a.chip")
    assert "pattern=" in page.url
    page.locator("table a.chip").first.click()
    heading(page, "L0.mlp 11")
    assert page.url.endswith(CODE)
    page.go_back()
    heading(page, "Search")
    page.wait_for_selector("table a.chip")
    assert page.input_value("input[aria-label^=Pattern]") == "[dD]er"


def test_keys_lead_to_the_next_code_the_search_box_and_do_nothing_while_typing(page):
    page.goto(CODE.replace("code=11", "code=3"))
    heading(page, "L0.mlp 3")
    page.wait_for_selector("html[data-codescope=ready]", state="attached")
    page.keyboard.press("j")
    heading(page, "L0.mlp 4")
    page.keyboard.press("k")
    heading(page, "L0.mlp 3")
    page.keyboard.press("/")
    box = page.get_by_role("combobox", name="Search everything")
    page.keyboard.type("jk/s?")
    assert box.input_value() == "jk/s?"
    heading(page, "L0.mlp 3")
    page.keyboard.press("Escape")
    page.keyboard.press("j")
    heading(page, "L0.mlp 4")


def test_the_search_box_leads_to_what_has_that_name(page):
    page.goto(f"lists?model={MODEL}")
    heading(page, "Lists")
    page.wait_for_selector("html[data-codescope=ready]", state="attached")
    page.keyboard.press("/")
    page.keyboard.type(MODEL)
    page.get_by_role("option").first.wait_for()
    page.keyboard.press("Enter")
    page.wait_for_url(lambda url: "lists" not in url and MODEL in url)


def test_a_question_mark_opens_the_keys_and_the_words_and_escape_closes_them(page):
    page.goto(CODE)
    page.wait_for_selector(".cs-foot")
    page.wait_for_selector("html[data-codescope=ready]", state="attached")
    page.keyboard.press("?")
    sheet = page.get_by_role("dialog", name="Keys and words")
    sheet.get_by_text("search everything that has a name").wait_for()
    sheet.get_by_text("The best code that was not chosen at a position.").wait_for()
    page.keyboard.press("j")  # keys lead nowhere while it is open
    page.keyboard.press("Escape")
    sheet.wait_for(state="detached")
    heading(page, "L0.mlp 11")


def test_a_word_in_a_heading_is_explained_where_it_is_pointed_at_and_by_keyboard(page):
    page.goto(CODE)
    word = page.locator("abbr.term", has_text="PMI").first
    word.scroll_into_view_if_needed()
    tip = page.get_by_role("tooltip")
    word.focus()
    tip.get_by_text("how much more often two codes fire together than by chance").wait_for()
    page.keyboard.press("Escape")
    tip.wait_for(state="hidden")
    word.hover()
    tip.get_by_text("Pointwise mutual information").wait_for()
    box = tip.bounding_box()
    assert box["x"] >= 0 and box["x"] + box["width"] <= 1500


@pytest.mark.parametrize(
    "view",
    ["", CODE, f"codebooks?model={MODEL}", f"search?model={MODEL}&pattern=der", f"lens?model={MODEL}&item=3", "lists"],
)
def test_nothing_is_cut_off_in_a_narrow_window(page, view):
    page.set_viewport_size({"width": 900, "height": 900})
    page.goto(view)
    page.wait_for_selector(".cs-foot")
    page.wait_for_function("document.querySelector('[data-testid=stApp]')?.dataset.testScriptState === 'notRunning'")
    assert page.evaluate(CUT) == []


def test_an_address_shows_the_same_view_in_another_tab(page):
    page.goto(f"{CODE}&n=3&context=2")
    page.wait_for_selector(".cs-foot")
    assert page.locator(".example .meta").count() == 9


def test_the_lens_selects_the_token_that_is_clicked(page):
    page.goto(f"lens?model={MODEL}&item=3&place=0")
    page.wait_for_selector(".strip button")
    page.locator(".strip button").nth(1).click()
    page.wait_for_function("[...document.querySelectorAll('.cs-head h2')].some(h => h.innerText === 'Position 1')")
    assert "place=1" in page.url


def test_a_code_of_the_map_opens_on_a_click(page):
    page.goto(f"codebooks?model={MODEL}&site=L0.mlp")
    page.wait_for_selector("canvas")
    page.locator("canvas").click(position={"x": 30, "y": 8})
    heading(page, "L0.mlp 1")


@pytest.mark.parametrize("line", ["1 ", "lorem ipsum dolor sit amet 1234567890\n"])
def test_a_paste_of_ten_megabytes_is_answered_with_the_limit(page, line):
    text = line * (10_000_000 // len(line))
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.goto(f"lens?model={MODEL}")
    page.wait_for_selector("html[data-codescope=ready]", state="attached")
    page.evaluate("text => navigator.clipboard.writeText(text)", text)
    page.locator("textarea").press("Control+V")
    said = page.get_by_text(f"The text has {len(text):,} characters; only the first 20,000 are taken.")
    said.wait_for()
    assert page.input_value("textarea") == text[:20_000]
    page.locator("textarea").press("Control+Enter")
    page.get_by_text("so the address of this page does not contain it").wait_for()
    said.wait_for()  # it stays


def test_a_paste_into_a_text_is_counted_with_it_and_taken_back_by_undo(page):
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.goto(f"lens?model={MODEL}")
    page.wait_for_selector("html[data-codescope=ready]", state="attached")
    page.fill("textarea", "hello")
    page.evaluate("text => navigator.clipboard.writeText(text)", "🙂" * 20_000)
    page.locator("textarea").press("End")
    page.locator("textarea").press("Control+V")
    page.get_by_text("The text has 20,005 characters; only the first 20,000 are taken.").wait_for()
    assert page.input_value("textarea") == "hello" + "🙂" * 19_995
    page.locator("textarea").press("Control+Z")
    assert page.input_value("textarea") == "hello"


def test_a_text_set_in_one_go_is_cut_and_a_short_one_says_nothing(page):
    page.goto(f"lens?model={MODEL}")
    page.wait_for_selector("html[data-codescope=ready]", state="attached")
    said = page.get_by_text("The text has 30,000 characters; only the first 20,000 are taken.")
    page.fill("textarea", "🙂" * 30_000)
    said.wait_for()
    assert page.input_value("textarea") == "🙂" * 20_000
    page.fill("textarea", "🙂" * 20_000)
    said.wait_for(state="detached")
    assert page.input_value("textarea") == "🙂" * 20_000


def test_the_overview_has_an_address_of_its_own_too(page):
    page.goto("overview")
    heading(page, "Overview")
    assert page.get_by_text("Page not found").count() == 0


def test_a_chosen_model_is_written_into_the_address_and_back_still_leads_back(page):
    page.goto("")
    page.wait_for_selector(".cs-foot")
    page.wait_for_selector("html[data-codescope=ready]", state="attached")
    page.locator(".cs-nav a", has_text="Search").click()
    page.wait_for_url(
        re.compile(r"/search\?model=[\w.-]+$")
    )  # the demos may be built by now: the first of them is chosen
    page.go_back()
    page.wait_for_url(lambda url: "search" not in url)
    page.get_by_text("How faithful is").wait_for()


def test_the_pages_follow_the_theme_of_the_system(browser, server):
    shades = []
    for scheme in ("light", "dark"):
        tab = browser.new_page(base_url=server, color_scheme=scheme)
        tab.goto(CODE)
        tab.wait_for_selector("a.chip")
        shades.append(tab.evaluate("getComputedStyle(document.querySelector('.cs')).color"))
        tab.close()
    assert shades[0] != shades[1]


def test_tokens_of_the_data_are_shown_and_never_run(page):
    page.goto(CODE)
    page.wait_for_selector(".examples")
    assert "<b>" in tiny_store.WORDS and "<b>" in page.inner_text(".stMain")
    assert page.locator(".examples b").count() == 0
