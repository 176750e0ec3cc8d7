"""How fast and how small reading is on 24 M postings, beside an independent in-memory implementation in NumPy.

`python -m tests.benchmarks.bench_store [--folder DIR]` prints a table and, as its last line, JSON. The served queries
run in a fresh process, whose peak resident memory is read at the end; then this process loads everything into memory,
answers the same questions in plain NumPy and Python's `re`, and compares the answers one by one.

Every query of a kind is asked three times in turn, after one unmeasured round of each kind (warm); p95 is over all of
them.
"""

from __future__ import annotations

import argparse
import json
import math
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import numpy as np

from tests.benchmarks import synthetic

SITE = "L3.mlp"
REPEATS = 3
EXAMPLES = 100
DEFAULT_FOLDER = Path(tempfile.gettempdir()) / "codescope-benchmarks"
GOALS = {"examples": 100.0, "search": 300.0, "query": 300.0, "memory": 600.0}


def patterns() -> dict[str, list[str]]:
    """Patterns by kind: about 200, about 1,800, and 63,000 to 79,000 matches each in 1 M tokens."""
    word = synthetic.word
    share = [math.log((rank + 2) / (rank + 1)) / math.log(synthetic.VOCABULARY) for rank in range(40)]
    frequent = []
    for first in range(6):  # words from `first` on until together they make up 7 % of the tokens
        last, total = first, 0.0
        while total < 0.065:
            total += share[last]
            last += 1
        words = "|".join(word(rank) for rank in range(first, last))
        frequent.append([rf"\b({words})\b", rf"\b(?:{words})\b"][first % 2])
    return {
        "rare": [rf"\b({word(rank)})\b" for rank in range(500, 506)],
        "medium": [rf"\b{word(rank)}\b" for rank in range(52, 58)],
        "frequent": frequent,
        "two words": [rf"\b{word(rank)} (b\w+)" for rank in range(6)],
    }


def codes_to_show(db: duckdb.DuckDBPyConnection) -> list[int]:
    """The most used code of a codebook, and others down to the middle."""
    rows = db.execute(
        "SELECT code FROM codes JOIN codebooks USING (site_id) WHERE site = ? ORDER BY count DESC, code", [SITE]
    ).fetchall()
    return [rows[rank][0] for rank in (0, 1, 3, 10, 30, 100, 300, 1000, 3000, 5000)]


# ---- served: through the explorer, in a process of its own


def serve(data_dir: Path) -> dict[str, Any]:
    """Ask everything; returns milliseconds and answers by kind, and the process's peak memory in MiB."""
    from backend.explorer import Clause, Explorer
    from backend.types import CodeRef

    explorer, model = Explorer(data_dir), synthetic.MODEL
    explorer.models(), explorer.codebooks(model)
    with duckdb.connect(str(explorer.reader(model).path), read_only=True, config=_same_settings()) as db:
        codes = codes_to_show(db)

    def examples(code: int, how: str) -> Any:
        found = explorer.examples(CodeRef(model, SITE, code), how, EXAMPLES)  # type: ignore[arg-type]
        return [[e.pos, "".join(t.gap + t.text for t in [*e.before, e.token, *e.after])] for e in found]

    def search(pattern: str) -> Any:
        found = explorer.search(model, pattern)
        columns = found.codes[["site", "code", "hits", "count", "held_out_hits"]]
        return [found.matches, found.candidates, columns.values.tolist()]

    def query(first: int, operator: str, second: int) -> Any:
        found = explorer.query(model, [Clause(SITE, first), Clause("L2.mlp", second, operator, 5)])  # type: ignore[arg-type]
        return [found.count, found.items]

    asked: dict[str, list[Callable[[], Any]]] = {
        f"examples {how}": [lambda c=code, h=how: examples(c, h) for code in codes]
        for how in ("top", "boundary", "random")
    }
    for kind, of_kind in patterns().items():
        asked[f"search {kind}"] = [lambda p=pattern: search(p) for pattern in of_kind]
    asked["query"] = [
        lambda a=code, o=operator: query(a, o, codes[0]) for code in codes for operator in ("and", "and not", "then")
    ]
    measured: dict[str, Any] = {"milliseconds": {}, "cpu": {}, "answers": {}, "codes": codes}
    for kind, calls in asked.items():
        calls[0]()
        taken, cpu = [], []
        for turn in range(REPEATS):
            answers = []
            for call in calls:
                started, worked = time.perf_counter(), time.process_time()
                answer = call()
                taken.append((time.perf_counter() - started) * 1000)
                cpu.append((time.process_time() - worked) * 1000)
                answers.append(answer)
            if turn == 0:
                measured["answers"][kind] = answers
        measured["milliseconds"][kind], measured["cpu"][kind] = taken, cpu
    status = Path("/proc/self/status").read_text()
    measured["peak_mib"] = int(re.search(r"VmHWM:\s+(\d+)", status)[1]) / 1024  # type: ignore[index]
    return measured


def _same_settings() -> dict[str, Any]:
    """DuckDB opens a file twice in one process only with the same settings."""
    from backend.store import reader

    return reader.settings()


# ---- reference: everything in memory, NumPy and `re` only


class Reference:
    """The same questions answered from plain arrays; shares no code with the explorer."""

    def __init__(self, path: Path) -> None:
        with duckdb.connect(str(path), read_only=True) as db:
            self.codes = codes_to_show(db)
            sites = db.execute("SELECT site_id, site, num_codes FROM codebooks ORDER BY site_id").fetchall()
            self.sites = [site for _, site, _ in sites]
            self.size = sites[0][2]
            self.site = next(number for number, site, _ in sites if site == SITE)
            grid = db.execute("SELECT code FROM grid ORDER BY pos, site_id").fetchnumpy()["code"]
            self.grid = np.asarray(grid, np.int32).reshape(-1, len(sites))
            one = "SELECT score, margin FROM grid WHERE site_id = ? ORDER BY pos"
            self.score, self.margin = (np.asarray(v) for v in db.execute(one, [self.site]).fetchnumpy().values())
            self.texts = [row[0] for row in db.execute("SELECT text FROM items ORDER BY item").fetchall()]
            half = np.asarray(db.execute("SELECT half FROM items ORDER BY item").fetchnumpy()["half"])
        self.length = synthetic.ITEM_TOKENS
        self.half = np.repeat(half, self.length)[: len(self.grid)]
        self.words = [text.split(" ") for text in self.texts]
        self.starts = [np.cumsum([0] + [len(w) + 1 for w in words[:-1]]) for words in self.words]
        self.numbered = self.grid + np.arange(len(self.sites), dtype=np.int32) * self.size
        self.count = np.bincount(self.numbered.ravel(), minlength=self.size * len(self.sites))

    def examples(self, code: int, how: str) -> list[Any]:
        """The best `EXAMPLES` places of a code with 20 words on both sides."""
        where = np.flatnonzero(self.grid[:, self.site] == code)
        key = -self.score[where] if how == "top" else self.margin[where]
        shown = []
        for pos in where[np.lexsort((where, key))[:EXAMPLES]]:
            item, place = divmod(int(pos), self.length)
            low = max(0, place - 20)
            shown.append([int(pos), (" " if low else "") + " ".join(self.words[item][low : place + 21])])
        return shown

    def search(self, pattern: str) -> dict[str, Any]:
        """Matches, and hits of all codes, of both halves and of half 1."""
        compiled = re.compile(pattern)
        found = []
        for item, text in enumerate(self.texts):
            at = [match.start(1 if compiled.groups else 0) for match in compiled.finditer(text)]
            if at:
                found.append(np.unique(np.searchsorted(self.starts[item], at, side="right") - 1) + item * self.length)
        positions = np.concatenate(found) if found else np.empty(0, np.int64)
        rows, total = self.numbered[positions], len(self.count)
        hits = np.bincount(rows.ravel(), minlength=total)
        held_out = np.bincount(rows[self.half[positions] == 1].ravel(), minlength=total)
        precision, recall = hits / np.maximum(self.count, 1), hits / max(1, len(positions))
        return {"matches": len(positions), "hits": hits, "held_out": held_out, "both": (precision, recall)}

    def query(self, first: int, operator: str, second: int) -> list[int]:
        """Count of positions and items."""
        a = self.grid[:, self.site] == first
        b = self.grid[:, self.sites.index("L2.mlp")] == second
        if operator == "then":
            later = np.zeros(len(a), bool)
            place = np.arange(len(a)) % self.length
            for distance in range(1, 6):
                later[:-distance] |= b[distance:] & (place[:-distance] + distance < self.length)
            b = later
        kept = np.flatnonzero(a & ~b if operator == "and not" else a & b)
        return [len(kept), len(np.unique(kept // self.length))]


def check_search(reference: Reference, answer: dict[str, Any], served: list[Any]) -> None:
    """Compare a served search with the reference's; raises AssertionError where they differ."""
    matches, candidates, rows = served
    assert matches == answer["matches"], (matches, answer["matches"])
    assert candidates == int((answer["hits"] >= 5).sum())
    for site, code, hits, count, held_out in rows:
        number = reference.sites.index(site) * reference.size + code
        expected = (answer["hits"][number], reference.count[number], answer["held_out"][number])
        assert (hits, count, held_out) == expected, (site, code)
    f1 = 2 * answer["hits"] / (reference.count + answer["matches"])
    best = np.sort(f1[answer["hits"] >= 5])[::-1][: len(rows)]
    assert np.allclose(best, [2 * row[2] / (row[3] + matches) for row in rows])


def measure_reference(reference: Reference, served: dict[str, Any]) -> dict[str, list[float]]:
    """Milliseconds of the reference by kind; compares every answer that is not random with the served one."""
    taken: dict[str, list[float]] = {}

    def timed(kind: str, call: Callable[[], Any]) -> Any:
        started = time.perf_counter()
        answer = call()
        taken.setdefault(kind, []).append((time.perf_counter() - started) * 1000)
        return answer

    for how in ("top", "boundary"):
        for code, answer in zip(reference.codes, served["answers"][f"examples {how}"], strict=True):
            assert timed(f"examples {how}", lambda c=code, h=how: reference.examples(c, h)) == answer, code
    for kind, of_kind in patterns().items():
        for pattern, answer in zip(of_kind, served["answers"][f"search {kind}"], strict=True):
            found = timed(f"search {kind}", lambda p=pattern: reference.search(p))
            check_search(reference, found, answer)
    asked = [(code, operator) for code in reference.codes for operator in ("and", "and not", "then")]
    for (code, operator), answer in zip(asked, served["answers"]["query"], strict=True):
        found = timed("query", lambda c=code, o=operator: reference.query(c, o, reference.codes[0]))
        assert found == answer, (code, operator)
    return taken


def run(folder: Path = DEFAULT_FOLDER, tokens: int = 1_000_000, codebooks: int = 24) -> list[dict[str, Any]]:
    """All benchmarks of reading: `name, value, unit, ratio` (value / reference), `reference, goal`."""
    data_dir = synthetic.data_dir(folder, tokens, codebooks)
    command = [sys.executable, "-m", "tests.benchmarks.bench_store", "--serve", str(data_dir)]
    served = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout)
    reference = Reference(next((data_dir / "builds").glob("*.duckdb")))
    taken = measure_reference(reference, served)
    rows = []
    for kind, milliseconds in served["milliseconds"].items():
        value = float(np.percentile(milliseconds, 95))
        beside = float(np.percentile(taken[kind], 95)) if kind in taken else None
        row = _row(f"{kind} p95", value, "ms", beside, GOALS[kind.split()[0]])
        rows.append({**row, "cpu": round(float(np.percentile(served["cpu"][kind], 95)), 1)})
    memory = sum(array.nbytes for array in vars(reference).values() if isinstance(array, np.ndarray)) / (1 << 20)
    rows.append(_row("serving process, peak resident memory", served["peak_mib"], "MiB", memory, GOALS["memory"]))
    return rows


def _row(name: str, value: float, unit: str, reference: float | None, goal: float) -> dict[str, Any]:
    ratio = None if reference is None else round(value / reference, 3)
    rounded = None if reference is None else round(reference, 1)
    return {
        "name": name,
        "value": round(value, 1),
        "unit": unit,
        "ratio": ratio,
        "reference": rounded,
        "goal": f"<= {goal:g} {unit}",
        "reached": value <= goal,
    }


BENCHMARKS: dict[str, Callable[[bool], list[dict[str, Any]]]] = {
    "queries": lambda quick: run(tokens=100_000 if quick else 1_000_000),
}


def main() -> None:
    """Print the table and the JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, default=DEFAULT_FOLDER, help="where the synthetic store is kept")
    parser.add_argument("--tokens", type=int, default=1_000_000)
    parser.add_argument("--codebooks", type=int, default=24)
    parser.add_argument("--serve", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.serve:
        print(json.dumps(serve(given.serve)))
        return
    rows = run(given.folder, given.tokens, given.codebooks)
    for row in rows:
        beside = "" if row["reference"] is None else f"in memory {row['reference']:>8.1f}   ratio {row['ratio']:.2f}"
        cpu = f"processor {row['cpu']:>6.1f}   " if "cpu" in row else ""
        print(f"{row['name']:<40}{row['value']:>8.1f} {row['unit']:<4} goal {row['goal']:<12} {cpu}{beside}")
    print(json.dumps({"benchmarks": rows}))


if __name__ == "__main__":
    main()
