"""What a page declares: its file, its title, the question it answers, and what it needs."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Page:
    """One page; picker, navigation, foot and hints follow from it.

    Attributes:
        file: its file in `pages/` without the ending, and its place in the address.
        title: in the navigation.
        question: the one it answers.
        needs: capabilities that a model must have to be shown on it; models without codebooks never are.
        item: what the items of its models must be; None: anything.
        one_model: whether it shows one model, so that it has a picker and its links carry the model.
        keeps: parameters of the address that stay when another model is chosen.
    """

    file: str
    title: str
    question: str
    needs: frozenset[str] = frozenset()
    item: str | None = None
    one_model: bool = True
    keeps: tuple[str, ...] = ()
