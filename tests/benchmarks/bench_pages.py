"""How fast a page answers a click: `python -m tests.benchmarks.bench_pages [--quick] [--data-dir DIR]`.

1. `python -m app` is started on the data directory, in which the demo models have to be built, and a browser opens it.
   It waits until the app has loaded its first live model, in the background.
2. Each action is done once to warm up, then again and again. It takes from the click until the page has drawn what was
   asked for and the server has finished the run.
3. Beside the milliseconds stand the processor's time that the server took for a click and the machine's load, as other
   work makes a click slower.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from backend.catalog import DEFAULT_DATA_DIR

ROOT = Path(__file__).resolve().parents[2]
MODEL = "tokfsm-attn-mlp-k1"
IMAGES = "scenes-fvq-4096"
GOAL = 500.0  # milliseconds
START_SECONDS = 120
Row = dict[str, Any]

# The run of the script has ended and nothing on the page is a leftover of the run before.
DONE = """
document.querySelector('[data-testid=stApp]')?.dataset.testScriptState === 'notRunning'
&& !document.querySelector('[data-stale=true]') && !!document.querySelector('.cs-foot')
"""


@dataclass(frozen=True)
class Action:
    """Something a person does again and again.

    Attributes:
        start: address of the page, without the model.
        clicks: done in turn, each with what must stand on the page afterwards, an expression in JavaScript.
        model: the model of the page.
        site: where the clicks go from code to code (`{0}` in the address, `{next}` and `{first}` in what is expected): of
            which codebook.
    """

    start: str
    clicks: tuple[tuple[Callable[[Any], None], str], ...]
    model: str = MODEL
    site: str = ""


def _heading(text: str) -> str:
    return f"document.querySelector('h1')?.innerText.replace(/\\s+/g, ' ') === {json.dumps(text)}"


def _section(start: str) -> str:
    found = f"[...document.querySelectorAll('.cs-head h2')].some(h => h.innerText.startsWith({json.dumps(start)}))"
    return f"({found})"


def _button(text: str) -> Callable[[Any], None]:
    return lambda page: page.locator("button", has_text=re.compile(f"^{re.escape(text)}$")).first.click()


def _search(pattern: str) -> tuple[Callable[[Any], None], str]:
    def act(page: Any) -> None:
        page.fill("input[aria-label^=Pattern]", pattern)
        page.keyboard.press("Enter")

    found = f"new URLSearchParams(location.search).get('pattern') === {json.dumps(pattern)}"
    return act, f"{found} && !!document.querySelector('table a.chip')"


def _page(title: str) -> tuple[Callable[[Any], None], str]:
    def act(page: Any) -> None:
        page.locator("nav a", has_text=re.compile(f"^{re.escape(title)}$")).click()

    return act, _heading(title)


def _press(key: str) -> Callable[[Any], None]:
    return lambda page: page.keyboard.press(key)


def _token(number: int) -> tuple[Callable[[Any], None], str]:
    return lambda page: page.locator(".strip button").nth(number).click(), _section(f"Position {number}")


def _site(site: str) -> tuple[Callable[[Any], None], str]:
    return (
        lambda page: page.locator("table a", has_text=re.compile(f"^{re.escape(site)}$")).first.click(),
        f"new URLSearchParams(location.search).get('site') === {json.dumps(site)} && {_section(site)}",
    )


ACTIONS = {
    "States, another view": Action(
        "states?site=L1.mlp",
        ((_button("Transitions"), _section("Transitions")), (_button("States and codes"), _section("State by state"))),
    ),
    "States, another codebook": Action(
        "states?site=L1.mlp",
        (
            (_button("L0.mlp"), _section("States and codes of L0.mlp")),
            (_button("L1.mlp"), _section("States and codes of L1.mlp")),
        ),
    ),
    "Code, j and k": Action("code?code={0}", ((_press("j"), "{next}"), (_press("k"), "{first}")), site="L0.attn.h0"),
    "Code of images, j and k": Action(
        "code?code={0}", ((_press("j"), "{next}"), (_press("k"), "{first}")), model=IMAGES, site="vq"
    ),
    "From page to page": Action("codebooks", (_page("Overview"), _page("Codebooks"))),
    "Codebooks, another codebook": Action("codebooks?site=L0.mlp", (_site("L1.mlp"), _site("L0.mlp"))),
    "Search, another pattern": Action("search?pattern=1(2)", (_search(" 4(8)"), _search(" 1(7)"))),
    "Lens, another token": Action("lens?text=17%2042%2003%2048&place=0", (_token(3), _token(5))),
}


def measure(page: Any, name: str, rounds: int, server: int) -> tuple[list[float], list[float]]:
    """Milliseconds of each click, and of the processor in the server's process `server`."""
    action = ACTIONS[name]
    codes = _live_codes(page, action.model, action.site) if action.site else (0, 0)
    join = "&" if "?" in action.start else "?"
    of_codebook = f"&site={action.site}" if action.site else ""
    page.goto(f"{action.start.format(codes[0])}{join}model={action.model}{of_codebook}", timeout=120_000)
    page.wait_for_selector("html[data-codescope=ready]", state="attached")
    page.wait_for_function(DONE)
    names = {"{first}": _heading(f"{action.site} {codes[0]}"), "{next}": _heading(f"{action.site} {codes[1]}")}
    taken, cpu = [], []
    for turn in range(rounds + 1):
        for act, expected in action.clicks:
            started, worked = time.perf_counter(), _cpu(server)
            act(page)
            page.wait_for_function(f"({names.get(expected, expected)}) && {DONE}")
            if turn:  # the first one warms up
                taken.append(1000 * (time.perf_counter() - started))
                cpu.append(1000 * (_cpu(server) - worked))
    return taken, cpu


def _cpu(process: int) -> float:
    """Seconds of the processor that a process has used, all its threads together."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _wait_for_rest(process: int) -> None:
    """Wait until a process does next to nothing; it may begin something a moment after its first page."""
    time.sleep(5)
    before = -1.0
    while _cpu(process) - before > 0.05:
        before = _cpu(process)
        time.sleep(1)


def _server(app: int) -> int:
    """The web server's process among the app's children."""
    for task in Path(f"/proc/{app}/task").iterdir():
        for child in (task / "children").read_text().split():
            if b"streamlit" in Path(f"/proc/{child}/cmdline").read_bytes():
                return int(child)
    raise RuntimeError("The app has no web server.")


def _live_codes(page: Any, model: str, site: str) -> tuple[int, int]:
    """The number of a live code and of the next one."""
    page.goto(f"code?model={model}&site={site}")
    first = page.locator("a[href*='&code='], a[href*='?code=']").first
    first.wait_for()
    first.click()
    follow = page.locator("a[data-key=j]")
    follow.wait_for()
    here, onward = (re.search(r"code=(\d+)", text) for text in (page.url, str(follow.get_attribute("href"))))
    assert here is not None and onward is not None
    return int(here[1]), int(onward[1])


@contextmanager
def serving(data_dir: Path) -> Iterator[tuple[str, int]]:
    """The address of an app that is started and ended again, and its web server's process."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "app", "--no-browser", "--port", str(port), "--data-dir", str(data_dir)]
    process = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.DEVNULL)
    try:
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        for _ in range(START_SECONDS * 5):
            try:
                opener.open(f"http://127.0.0.1:{port}/_stcore/health", timeout=2)
                break
            except OSError:
                time.sleep(0.2)
        else:
            raise RuntimeError(f"The app did not answer within {START_SECONDS} seconds.")
        yield f"http://127.0.0.1:{port}/", _server(process.pid)
    finally:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()


def bench_clicks(rounds: int, data_dir: Path = DEFAULT_DATA_DIR) -> list[Row]:
    """Every action, in one tab."""
    from playwright.sync_api import sync_playwright

    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    rows = []
    with serving(data_dir) as (base, server), sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
        page = browser.new_page(base_url=base, viewport={"width": 1440, "height": 1000})
        page.set_default_timeout(180_000)
        page.goto("")
        page.wait_for_function(DONE)
        _wait_for_rest(server)
        for name in ACTIONS:
            taken, cpu = measure(page, name, rounds, server)
            slow, middle, own = np.percentile(taken, 95), np.percentile(taken, 50), np.mean(cpu)
            rows.append(
                {
                    "name": f"click: {name}, p95 of {len(taken)}",
                    "value": round(float(slow), 1),
                    "unit": "ms",
                    "ratio": round(float(slow) / GOAL, 3),
                    "reference": f"p50 {middle:.0f} ms, processor time of the server {own:.0f} ms, "
                    f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores",
                    "goal": f"<= {GOAL:.0f} ms",
                }
            )
        browser.close()
    return rows


BENCHMARKS: dict[str, Callable[[bool], list[Row]]] = {"clicks": lambda quick: bench_clicks(4 if quick else 20)}


def run(names: Iterable[str] = (), *, quick: bool = False) -> list[Row]:
    """Run the named benchmarks, all by default."""
    return [row for name in list(names) or BENCHMARKS for row in BENCHMARKS[name](quick)]


def main() -> None:
    """Print a table, then JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a fifth of the rounds")
    parser.add_argument("--data-dir", type=Path, default=DEFAULT_DATA_DIR, help="where the model is built")
    options = parser.parse_args()
    rows = bench_clicks(4 if options.quick else 20, options.data_dir)
    for row in rows:
        print(f"{row['value']:>8.1f} {row['unit']} {row['goal']:<9} {row['name']}  ({row['reference']})")
    print(json.dumps({"benchmarks": rows}, indent=1))


if __name__ == "__main__":
    main()
