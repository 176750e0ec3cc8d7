"""Weather reports as a data set; `SOURCES["toy-weather"] = "tests.backend.toy_data"` is all that makes it known."""

from __future__ import annotations

import random

from backend.data.judging import Behaviour, Judge, Trial
from backend.data.source import DataSource, Option, Settings
from backend.data.texts.corpus import Document, EndlessCorpus, Mark
from backend.data.texts.settings import LENGTH_OPTION, check_settings, items_of, with_length

SKIES = {"sun": "bright", "rain": "wet", "snow": "white"}
NAME = "toy-weather"


def _document(index: int, seed: int, days: int) -> Document:
    rng = random.Random(f"{seed}/{index}")
    sky = rng.choice(list(SKIES))
    text, marks = "", []
    for day in range(days):
        marks.append(Mark(len(text), len(text) + len(sky), "sky", sky))
        text += f"{sky} makes day {day} of {rng.randrange(100)} {SKIES[sky]}. "
    return Document(text.strip(), marks, {"weather": sky})


def _corpus(settings: Settings) -> EndlessCorpus:
    check_settings(settings, "days")
    return EndlessCorpus(lambda index, seed: _document(index, seed, settings.get("days", 4)))


def _read(text: str) -> dict[str, frozenset[str]]:
    return {"weather": frozenset(sky for sky in SKIES if sky in text.split())}


SOURCE = DataSource(
    name=NAME,
    item="text",
    about="reports of the weather",
    title="Weather of {days} days",
    open=items_of(_corpus),
    corpus=_corpus,
    judge=Judge({"weather": tuple(SKIES)}, _read),
    trial=Trial(
        ("Today",), ("Tomorrow",), (Behaviour("weather", "rain", ("weather", "rain")),), new_tokens=8, temperature=1.0
    ),
    concepts=(r"day (\d)",),
    capabilities=frozenset({"forecast"}),
    options=(Option("days", ("--days",), "days of a report (4)", least=1), LENGTH_OPTION),
    resolve=lambda given: {"days": 4, **with_length(given)},
)
