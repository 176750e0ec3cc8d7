"""What a page declares: its file, its title, the question it answers, and what a model needs to be shown on it.

The picker offers the models that fit a page, links in the navigation carry a model only where it fits, a page that
chooses by itself chooses one that fits, and an address that names another model is told what that one lacks.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

import pandas as pd

from app.draw.tables import row

FOLDER = Path(__file__).resolve().parents[2] / "pages"
ABILITIES: Mapping[str, str] = {  # capability -> what a model without it cannot do
    "encode": "read items",
    "logits": "say what comes next",
    "generate": "write text",
    "steer": "be steered",
    "states": "be shown as a finite-state machine",
    "decode": "decode pictures",
}


class Ended(BaseException):
    """A page has said all it can. It is not an `Exception`, so that nothing on the way takes it for a failure."""


def end() -> NoReturn:
    """End the page here; its foot is drawn all the same, which `st.stop` would prevent."""
    raise Ended


@dataclass(frozen=True)
class Page:
    """One page; picker, navigation, foot and hints follow from it.

    Attributes:
        file: its file in `pages/` without the ending, and its place in the address; or a path to a file elsewhere.
        title: in the navigation.
        question: the one it answers.
        needs: capabilities that a model must have to be shown on it; models without codebooks never are.
        item: what the items of its models must be; empty: anything.
        one_model: whether it shows one model, so that it has a picker and its links carry the model.
        keeps: parameters of the address that stay when another model is chosen.
    """

    file: str
    title: str
    question: str
    needs: tuple[str, ...] = ()
    item: str = ""
    one_model: bool = True
    keeps: tuple[str, ...] = ("pattern", "text")

    @property
    def path(self) -> Path:
        """Where its file is."""
        return FOLDER / f"{self.file}.py"

    @property
    def name(self) -> str:
        """Its place in the address."""
        return Path(self.file).name

    def lacks(self, models: pd.DataFrame, model: str, *more: str) -> str:
        """Return what a model lacks to be shown, as the end of a sentence that begins with its name; empty: nothing.

        Args:
            models: what `Explorer.models` says.
            model: one of them.
            more: capabilities that a part of the page needs besides.
        """
        about = row(models, "model", model)
        if self.item and about.kind != self.item:
            return f"reads {about.kind} items; {self.title} is about models that read {self.item} items."
        built = about.built != ""
        if (built and about.codebooks == 0) or (not built and model in set(models["base"])):
            return (
                "is a plain model without codebooks, so there are no codes to show: put some into it "
                f"with python -m backend train text --from {model} --text YOUR-TEXT --places mlp --name {model}-codes, "
                "then build that."
            )
        if not built:
            return ""  # what it can do is known when it is built: the page says that it is not
        missing = [ability for ability in (*self.needs, *more) if ability not in about.capabilities]
        return f"cannot {' or '.join(ABILITIES.get(one, one) for one in missing)}." if missing else ""

    def fitting(self, models: pd.DataFrame, *more: str) -> list[str]:
        """Return the models of `Explorer.models` that the page can show and that are built, in their order."""
        built = models.loc[(models["built"] != "") & (models["codebooks"] > 0), "model"]
        return [str(name) for name in built if not self.lacks(models, name, *more)]
