"""What is there, and is it in order? `models`, `doctor`."""

from __future__ import annotations

import argparse

from backend.cli import Answer, Command, Progress, shown, table


def _no_options(parser: argparse.ArgumentParser) -> None:
    """Add nothing: these commands have no arguments of their own."""


def _models(options: argparse.Namespace, progress: Progress) -> Answer:
    from backend.explorer import Explorer

    known = Explorer(options.data_dir).models()
    keys = ["model", "family", "kind", "capabilities", "dataset", "checkpoint", "built"]
    more = ["title", "base", "items", "positions", "codebooks", "codes", "problem"]
    models = [{key: row[key] for key in keys + more} for row in known.to_dict("records")]
    if not models:
        return Answer({"models": []}, f"No models yet in {options.data_dir}. Train one: python -m backend train --help")
    rows = [
        [m["model"], m["dataset"], m["checkpoint"], m["built"] or "-", m["codebooks"], m["codes"], m["title"]]
        for m in models
    ]
    text = table(["model", "dataset", "checkpoint", "built", "codebooks", "codes", "title"], rows)
    problems = [f"{m['model']}: {shown(m['problem'])}" for m in models if m["problem"]]
    return Answer({"models": models}, "\n".join([text, *problems]))


def _doctor(options: argparse.Namespace, progress: Progress) -> Answer:
    from backend.jobs.doctor import examine

    checks = examine(options.data_dir, progress)
    bad = sum(not check.ok for check in checks)
    rows = [["ok" if check.ok else "WRONG", check.name, check.detail] for check in checks]
    verdict = "Everything is in order." if not bad else f"{bad} of {len(checks)} checks failed."
    data = {"checks": [{"name": check.name, "ok": check.ok, "detail": check.detail} for check in checks]}
    return Answer(data, f"{table(['', 'check', 'detail'], rows)}\n{verdict}", 1 if bad else 0)


MODELS = Command(
    "models",
    "list what is in the catalog and the data directory",
    ("models", "models --json"),
    _no_options,
    _models,
)
DOCTOR = Command(
    "doctor",
    "check the installation, the data directory, stores and checkpoints",
    ("doctor", "doctor --data-dir /tmp/mine --json"),
    _no_options,
    _doctor,
)
