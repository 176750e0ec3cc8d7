"""Pure: the program that "Copy as Python" hands out. Saved to a file it runs from any folder, and prints what the page shows."""

from __future__ import annotations

import inspect
import re
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from backend.calls import Call, as_python
from backend.explorer import Explorer

ROOT = Path(__file__).resolve().parents[2]
_CODE = re.compile(r"CodeRef\.parse\('[^']*'\)")
_HOMES = {  # name -> the module that it is imported from
    "Clause": "backend.explorer",
    "CodeRef": "backend.types",
    "Edit": "backend.types",
    "Sampling": "backend.types",
}


def program(calls: Iterable[Call], lines: Iterable[str], data_dir: Path | str) -> str:
    """Write the program.

    Args:
        calls: what the page has asked the explorer; what only helped it to draw its controls is left out, and so is what
            its own lines ask.
        lines: what the page adds: questions to a live model, or a question whose answer it filters. They may use
            `explorer` and `show`, `CodeRef`, `Clause`, `Edit` and `Sampling`, and import what else they need.
        data_dir: the data directory of the app.
    """
    more = list(lines)
    own = "\n".join(more)
    shown = [call for call in calls if call.shown and getattr(Explorer, call.name).shown]
    questions = dict.fromkeys(asked(call.name, **call.arguments) for call in shown)
    body = [*(f"show({question})" for question in questions if question not in own), *more]
    text = _with_one_name("\n".join(body))
    imports = [line for line in text.split("\n") if re.match(r"(from|import) \S", line)]
    rest = "\n".join(line for line in text.split("\n") if line not in imports)
    names: dict[str, list[str]] = {"backend.explorer": ["Explorer", *["show"] * bool(re.search(r"\bshow\(", rest))]}
    for name, home in _HOMES.items():
        if re.search(rf"\b{name}\b", rest):
            names.setdefault(home, []).append(name)
    imports += [f"from {home} import {', '.join(sorted(these))}" for home, these in names.items()]
    head = ["import sys", "", f"sys.path.insert(0, {str(ROOT)!r})  # where Codescope is", "", *sorted(set(imports))]
    return "\n".join([*head, "", f"explorer = Explorer({str(Path(data_dir).resolve())!r})", rest])


def asked(name: str, **arguments: Any) -> str:
    """Write a question to the explorer as Python; what is the default is not said."""
    parameters = inspect.signature(getattr(Explorer, name)).parameters
    needed = {key: value for key, value in arguments.items() if not _is_default(value, parameters[key].default)}
    return as_python(Call(name, needed, 0.0, 0))


def _is_default(value: Any, default: Any) -> bool:
    return type(value) is type(default) and bool(value == default) or (not value and default == ())


def _with_one_name(text: str) -> str:
    """Call the code that is asked about more than once `ref`."""
    ranked = Counter(_CODE.findall(text)).most_common(1)
    if not ranked or ranked[0][1] < 2:
        return text
    return f"ref = {ranked[0][0]}\n" + text.replace(ranked[0][0], "ref").replace("(ref=ref", "(ref")
