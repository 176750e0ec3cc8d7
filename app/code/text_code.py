"""Everything about one code of texts: the tokens and labels under it, its examples, and what forcing it does."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st
from markupsafe import Markup

from app.code import any_code, codes, effects
from app.code.any_code import Names
from app.draw.tables import Row
from app.shell import foot, widgets
from backend.answers.stored import CodeStats, Context
from backend.explorer import Explorer


def places(explorer: Explorer, model: str, site: str, found: Sequence[Context]) -> Markup:
    """Draw places of the texts."""
    return widgets.context_list(found, model, site)


def code_page(explorer: Explorer, stats: CodeStats, about: Row, names: Names) -> None:
    """Draw what stands below the figures of a live code; see `any_code.code_page`."""
    ref = stats.ref
    fields = list(explorer.label_fields(ref.model)["field"])
    any_code.example_columns(explorer, stats, fields[0] if fields else "", shown=lambda example: example)
    tokens, truth = explorer.tokens_of(ref, 12), explorer.labels_of(ref, 12)
    first, second = st.columns([1, 2], gap="medium")
    with first:
        widgets.section("Tokens under it", f"share of its {stats.count:,} activations")
        widgets.draw(codes.token_table(tokens, ref))
    with second:
        widgets.section("Labels under it", "precision: of its activations; recall: of the positions with that label")
        widgets.draw(codes.label_table(truth, ref))
    near = any_code.code_tables(explorer, stats, names)
    foot.offer({"tokens": tokens, "labels": truth, **near}, effects.python(ref))
    effect, _ = st.columns([2, 1], gap="medium")
    with effect:  # last, because measuring takes seconds and nothing else should wait for it
        effects.effect_panel(explorer, ref, "steer" in about.capabilities)
