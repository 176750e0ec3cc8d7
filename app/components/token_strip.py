"""A text whose tokens can be pointed at: hovering shows codes, scores and labels; a click selects the position."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import streamlit as st

from app.draw import html

_CSS = """
.strip {
  font-family: "Source Code Pro", ui-monospace, monospace; font-size: 0.95rem; line-height: 1.9;
  overflow-wrap: anywhere; color: var(--st-text-color); max-height: 26rem; overflow-y: auto;
}
.t {
  font: inherit; color: inherit; border: 0; background: none; margin: 0; padding: 0.1em 0.08em; border-radius: 3px;
  cursor: pointer; white-space: pre-wrap;
  background: color-mix(in srgb, var(--st-primary-color) calc(var(--a, 0) * 60%), transparent); }
.t:hover, .t:focus-visible { outline: 1.5px solid var(--st-primary-color); }
.t.on { outline: 2px solid var(--st-text-color); }
.tag { font-size: 0.62em; vertical-align: super; opacity: 0.7; margin-left: 0.15em; }
.gap { opacity: 0.4; white-space: pre-wrap; }
.tip {
  min-height: 1.5em; margin-top: 0.25rem; font-family: "Source Sans", sans-serif; font-size: 0.86rem; opacity: 0.75;
  font-variant-numeric: tabular-nums;
}
"""
_JS = """
export default function (component) {
  const { data, parentElement, setTriggerValue } = component;
  let root = parentElement.querySelector(".root");
  if (!root) {
    root = document.createElement("div"); root.className = "root"; parentElement.appendChild(root);
  }
  const strip = document.createElement("div");
  strip.className = "strip"; strip.setAttribute("role", "group");
  strip.setAttribute("aria-label", data.alt || "tokens");
  const tip = document.createElement("div");
  tip.className = "tip"; tip.setAttribute("aria-live", "polite"); tip.textContent = data.hint || "";
  (data.tokens || []).forEach((token, index) => {
    const piece = (kind, text, into) => {
      const made = document.createElement("span");
      made.className = kind; made.textContent = text; into.appendChild(made);
    };
    if (token.gap) piece("gap", token.gap, strip);
    const button = document.createElement("button");
    button.type = "button"; button.className = "t" + (index === data.selected ? " on" : "");
    button.style.setProperty("--a", String(token.strength || 0));
    button.textContent = token.text;
    if (token.tag) piece("tag", token.tag, button);
    const show = () => { tip.textContent = token.tip || ""; };
    button.addEventListener("mouseenter", show); button.addEventListener("focus", show);
    button.addEventListener("click", () => {
      for (const other of strip.querySelectorAll(".on")) other.classList.remove("on");
      button.classList.add("on");
      setTriggerValue("picked", index);
    });
    strip.appendChild(button);
  });
  strip.addEventListener("mouseleave", () => { tip.textContent = data.hint || ""; });
  root.replaceChildren(strip, tip);
}
"""


def token_data(text: str, *, gap: str = "", strength: float = 0.0, tag: str = "", tip: str = "") -> dict[str, Any]:
    """One token for the strip, with everything invisible made visible.

    Args:
        text: the exact token.
        gap: the text before it that belongs to no token.
        strength: 0 to 1, how strongly it is coloured.
        tag: a few characters set small behind it.
        tip: one line that is shown while it is pointed at.
    """
    return {
        "text": html.visible_text(text) or "∅",
        "gap": gap if gap.strip(" ") == "" else html.visible_text(gap),
        "strength": round(max(0.0, min(1.0, strength)), 3),
        "tag": html.visible_label(tag),
        "tip": html.visible_label(tip),
    }


@st.cache_resource(show_spinner=False)
def _component() -> Any:
    return st.components.v2.component("codescope.token_strip", css=_CSS, js=_JS)


def token_strip(
    tokens: Sequence[dict[str, Any]], *, key: str, selected: int | None = None, alt: str = "tokens", hint: str = ""
) -> int | None:
    """Draw the strip.

    Args:
        tokens: what `token_data` made.
        key: names this strip on the page.
        selected: the position that is framed.
        alt: what it is, for those who hear it.
        hint: what stands below while nothing is pointed at.

    Returns:
        The position clicked just now, or None.
    """
    result = _component()(
        key=key,
        data={"tokens": list(tokens), "selected": selected, "alt": alt, "hint": hint},
        on_picked_change=lambda: None,
    )
    picked = result.picked
    return int(picked) if isinstance(picked, (int, float)) and 0 <= picked < len(tokens) else None
