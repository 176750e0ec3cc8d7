"""One search over all that has a name: label values, descriptions, people's labels, models, codes; and the text as a pattern.

1. What has a name in a build is collected once and remembered, as it is small: label values and tags with the code that
   stands for each best, and the names of its codebooks. Descriptions are those of every codebook that was described since
   the start, and of the model's first look.
2. Every word of the text has to begin a word of the name, or to stand in it; whole words count more.
3. What is found comes in the order of how well it matches, then of how much is known of it. Last comes the text as a pattern.
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from backend.analysis.claims import is_good
from backend.analysis.patterns import compile_pattern
from backend.errors import BadInput, BadPattern, CodescopeError, StoreError
from backend.questions.concepts import concepts
from backend.questions.descriptions import described, descriptions
from backend.questions.first_sight import first_look
from backend.questions.overview import models
from backend.questions.tags import PREFIX, tag_fields
from backend.store.archive import Archive
from backend.store.reader import Reader

COLUMNS = ["kind", "model", "title", "detail", "score", "site", "code", "field", "value"]
WEIGHT = {"concept": 1.0, "label": 1.0, "description": 0.95, "model": 0.9, "code": 1.0, "tag": 0.85}
MAX_TEXT = 200  # characters
BEST = "best code"
PAUSE = 0.2  # seconds between two builds, in which those who wait for another answer get theirs
_WORD = re.compile(r"\w+")


@dataclass(frozen=True)
class _Name:
    """Something that has a name.

    Attributes:
        kind, title, detail, site, code, field, value: as in the answer.
        strength: how much is known of it, 0 to 1: of equal matches the stronger come first.
    """

    kind: str
    title: str
    detail: str = ""
    strength: float = 0.0
    site: str = ""
    code: int = -1
    field: str = ""
    value: str = ""


_Match = tuple[float, str, _Name]  # the score, the model


@dataclass(frozen=True)
class _Names:
    """What has a name in one build, and its codebooks."""

    names: Sequence[_Name]
    sites: dict[str, int]  # codebook -> number of its codes


def find(archive: Archive, text: str, n: int = 12, model: str = "", waits: bool = True) -> pd.DataFrame:
    """Find everything that has a name: in all built models, and what people have called codes.

    Args:
        archive: the data directory.
        text: a few words, e.g. `dragon`, or a code: `L1.mlp:417`, `L1.mlp/417`, `tokfsm-attn-mlp-k1/L1.mlp/417`.
        n: how many at most, from 1; the text as a pattern is the last of them, where it can be one.
        model: the model that somebody looks at: of equal matches its own come first, and the pattern is for it; '' for the
            first one.
        waits: whether to wait for builds that were never looked into, a second or two each; otherwise they are left out
            this time and looked into meanwhile.

    Returns:
        `kind` (`concept`: a label value; `tag`: of whole items; `description`: of a code; `label`: what somebody calls a code;
        `model`; `code`; `pattern`), `model, title` (e.g. `story topic = dragon`), `detail` (e.g. `best code
        L0.attn.h0/401, 93 %`), `score` (0 to 1), `site, code` (of the code that is meant; '' and -1 where none is),
        `field, value` (what to search for: of a label or tag, or '' and the pattern). `attrs["waiting"]` says how many builds
        are still to be looked into.

    Raises:
        BadInput: the text is too long, or n below 1.
    """
    if n < 1 or len(text) > MAX_TEXT:
        raise BadInput(f"Give at most {MAX_TEXT} characters and ask for 1 or more answers.")
    wanted = text.strip().casefold()
    built = models(archive)
    built = built[(built["built"] != "") & (built["codebooks"] > 0)]
    matches: list[_Match] = []
    missing = []
    for name, title in zip(built["model"].astype(str), built["title"], strict=True):
        named = _read_names(archive, name, waits)
        names = [_Name("model", f"{name} · {title}", "", 0.5)]
        if named is not None:
            names += [*named.names, *_codes(named, name, text)]
        else:
            missing.append(name)
        scored = [(_score(entry, wanted, name == model), name, entry) for entry in names]
        matches += _keep_best([row for row in scored if row[0] > 0])
    if missing and not waits:
        _look_ahead(archive, sorted(missing, key=lambda name: name != model))
    labels = [(_score(entry, wanted, name == model), name, entry) for name, entry in _read_labels(archive)]
    # sorting is stable: equal ones stay as they come
    best = sorted([*matches, *(row for row in labels if row[0] > 0)], key=lambda row: -row[0])
    patterns = _pattern(text, model or (str(built["model"].iloc[0]) if len(built) else "")) if wanted else []
    best = [*best[: n - len(patterns)], *patterns] if wanted else []
    rows = [
        (e.kind, name, e.title, e.detail, round(score, 4), e.site, e.code, e.field, e.value) for score, name, e in best
    ]
    table = pd.DataFrame(rows, columns=COLUMNS)
    table.attrs["waiting"] = len(missing)
    return table


def _keep_best(matches: list[_Match]) -> list[_Match]:
    """Keep, of the names of one model that say the same, the one that matches best."""
    best: dict[str, _Match] = {}
    for row in sorted(matches, key=lambda row: -row[0]):
        best.setdefault(row[2].title, row)
    return list(best.values())


def _score(entry: _Name, wanted: str, here: bool) -> float:
    """Return how well a name matches, times the weight of its kind: 0 to 1, and 0 where a word of the text is not in it."""
    title, words = entry.title.casefold(), wanted.split()
    if entry.kind == "code":  # it is what the text says
        match = 1.0
    elif not words or not all(word in title for word in words):
        return 0.0
    elif wanted in (title, entry.value.casefold()):
        match = 1.0
    else:
        parts = _WORD.findall(title)
        match = sum(
            0.9 if word in parts else 0.75 if any(part.startswith(word) for part in parts) else 0.5 for word in words
        ) / len(words)
    return WEIGHT[entry.kind] * (0.9 * match + 0.08 * entry.strength + 0.02 * here)


def _read_names(archive: Archive, model: str, waits: bool) -> _Names | None:
    """Return what has a name in a model's newest build; None where that was not collected yet and nobody waits."""
    newest = archive.library.newest(model)
    if newest is None:
        return None
    cache, key = archive.library.cache, (newest[1], "names")
    if cache.remembered(key) is None:
        if not waits:
            return None
        try:
            reader = archive.reader(model)
        except CodescopeError:  # the page of models says why
            return cache.remember(key, lambda: _Names([], {}))
        cache.remember((reader.path, "names"), lambda: _collect(reader))
    names: _Names | None = cache.remembered(key)
    if names is None:
        return None
    described_by: dict[str, _Name] = {}  # the most precise code of each description
    for site, table in described(cache, newest[1], names.sites):
        for code, text, _, precision in table.itertuples(index=False):
            if str(text) not in described_by or precision > described_by[str(text)].strength:
                detail = f"{site}/{code}, {100 * precision:.0f} %"
                described_by[str(text)] = _Name("description", str(text), detail, float(precision), site, int(code))
    values = [_clearer(name, described_by.pop(name.title, None)) for name in names.names]
    return _Names([*values, *described_by.values()], names.sites)


def _clearer(name: _Name, other: _Name | None) -> _Name:
    """Return a label value, with the code that it describes well in place of one that does not stand for it well."""
    if other is None or name.kind != "concept" or name.detail.startswith(BEST):
        return name
    return replace(other, kind="concept", detail=f"{BEST} {other.detail}", field=name.field, value=name.value)


def _look_ahead(archive: Archive, models: Sequence[str]) -> None:
    """Look into the builds of some models in a thread, one after the other; do nothing where one does it already."""

    def look() -> None:
        try:
            for model in models:
                _read_names(archive, model, True)
                time.sleep(PAUSE)
        finally:
            archive.looking.release()

    if archive.looking.acquire(blocking=False):
        threading.Thread(target=look, name="names", daemon=True).start()


def _collect(reader: Reader) -> _Names:
    """Look at everything of a build that has a name."""
    table = concepts(reader)
    good = is_good(table["hits"].to_numpy(), table["count"].to_numpy())
    names, seen = [], set()
    for row, claimed in zip(table.to_dict("records"), good, strict=True):
        seen.add((row["field"], row["value"]))
        share = f"{100 * row['precision']:.0f} %" if row["precision"] == row["precision"] else "never fires there"
        detail = f"{BEST if claimed else 'no code stands for it well; best'} {row['site']}/{row['code']}, {share}"
        strength = float(np.nan_to_num(row["precision"])) * (1.0 if claimed else 0.5)
        title = f"{row['field']} = {row['value']}"
        names.append(
            _Name("concept", title, detail, strength, row["site"], int(row["code"]), row["field"], str(row["value"]))
        )
    labels = reader.table(
        "SELECT field, value, count(*) AS n FROM labels JOIN fields USING (field_id) GROUP BY ALL ORDER BY n DESC, field, value"
    )
    for field, value, positions in labels.itertuples(index=False):
        if (field, value) not in seen:
            few = f"{positions:,} positions, too few to say which code stands for it"
            names.append(_Name("concept", f"{field} = {value}", few, 0.0, field=field, value=str(value)))
    tags = tag_fields(reader)
    shared = tags[tags["items"] > 1]  # a name of one item alone is not a tag that codes could stand for
    for field, value, items in shared.itertuples(index=False):
        names.append(
            _Name("tag", f"{field} = {value}", f"{items:,} items", 0.0, field=PREFIX + field, value=str(value))
        )
    descriptions(reader, first_look(reader).site)  # which remembers them
    return _Names(names, {name: site.info.num_codes for name, site in reader.sites.items()})


def _codes(known: _Names, model: str, text: str) -> Iterator[_Name]:
    """Yield the code that a text names: `site:code`, `site/code` or `model/site/code`."""
    for name in (text.strip(), text.strip().removeprefix(f"{model}/")):
        match = re.fullmatch(r"([\w./-]+)[:/](\d{1,9})", name, re.ASCII)
        if match is not None and int(match[2]) < known.sites.get(match[1], 0):
            yield _Name("code", f"{match[1]}/{match[2]}", model, 0.0, match[1], int(match[2]))
            return


def _read_labels(archive: Archive) -> Iterator[tuple[str, _Name]]:
    """Yield what people have called codes, the newest label of each."""
    try:
        labels = archive.people.labels()
    except StoreError:
        return  # the page of lists says why
    seen = set()
    for label in labels:
        if label.ref not in seen:
            seen.add(label.ref)
            by = f", by {label.author}" if label.author else ""
            detail = f"{label.ref.site}/{label.ref.code}{by}"
            yield label.ref.model, _Name("label", label.text, detail, 0.5, label.ref.site, label.ref.code)


def _pattern(text: str, model: str) -> list[_Match]:
    """Return the text as a pattern for one model; escaped where it is none as it is; none where it cannot be one."""
    for pattern in (text, re.escape(text)):
        try:
            compile_pattern(pattern)
        except BadPattern:
            continue
        title = f"/{pattern}/"
        return [(0.0, model, _Name("pattern", title, "codes that fire where it matches", value=pattern))]
    return []
