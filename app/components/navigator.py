"""Follows links inside the app without loading it again, and the keyboard.

1. A click on `<a data-nav>` changes the address and tells Streamlit as the browser's own "back" would, so the history
   stays right. Links opened in another tab (Ctrl, middle button) are left to the browser.
2. A key without modifiers, pressed outside a text field, follows the link with that `data-key` (`j`, `k`, `s`).
3. `/` puts the cursor into the pattern field, or opens the page that has one.
4. A text area whose label says "at most N characters" takes the first N of a longer text and says so at once: a browser
   that has to lay out ten megabytes in one field stands still for minutes.
"""

from __future__ import annotations

import streamlit as st

_JS = """
export default function (component) {
  const follow = (href) => {
    history.pushState(null, "", href);
    window.dispatchEvent(new PopStateEvent("popstate", { state: null }));
  };
  const clicked = (event) => {
    const link = event.target.closest && event.target.closest("a[data-nav]");
    if (!link || event.button || event.ctrlKey || event.metaKey || event.shiftKey || event.altKey) return;
    event.preventDefault();
    event.stopPropagation();
    if (link.origin === location.origin) follow(link.href);
  };
  const field = () => document.querySelector('input[aria-label^="Pattern"]');
  const focusSoon = (tries) => {
    const found = field();
    if (found) { found.focus(); found.select(); }
    else if (tries > 0) setTimeout(() => focusSoon(tries - 1), 100);
  };
  const pressed = (event) => {
    const at = event.composedPath()[0];
    const typing = at && at.tagName && (/^(INPUT|TEXTAREA|SELECT)$/.test(at.tagName) || at.isContentEditable);
    if (typing || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === "/") {
      event.preventDefault();
      if (!field()) { const link = document.querySelector('a[data-key="/"]'); if (link) follow(link.href); }
      focusSoon(30);
      return;
    }
    if (!/^[a-z]$/.test(event.key)) return;
    const link = document.querySelector('a[data-key="' + event.key + '"]');
    if (link) { event.preventDefault(); follow(link.href); }
  };
  const most = (area) => {
    const said = area.tagName === "TEXTAREA" && /at most ([\\d,]+) characters/.exec(area.getAttribute("aria-label"));
    return said ? Number(said[1].replaceAll(",", "")) : Infinity;
  };
  const beginning = (text, count) => [...text.slice(0, 2 * count)].slice(0, count).join("");
  const say = (area, text) => {
    const box = area.closest('[data-testid="stTextArea"]') ?? area.parentElement;
    box.querySelector(".cs-cut")?.remove();
    const [has, takes] = [[...text].length, most(area)];
    if (has <= takes) return;
    const note = Object.assign(document.createElement("div"), { className: "cs-cut", role: "alert" });
    const number = (n) => n.toLocaleString("en-US");
    note.textContent = `The text has ${number(has)} characters; only the first ${number(takes)} are taken.`;
    box.append(note);
  };
  const pasted = (event) => {
    const area = event.target, takes = most(area);
    if (takes === Infinity) return;
    const text = (event.clipboardData?.getData("text/plain") ?? "").replace(/\\r\\n?/g, "\\n");
    const whole = area.value.slice(0, area.selectionStart) + text + area.value.slice(area.selectionEnd);
    if (whole.length <= takes) return;
    event.preventDefault();
    area.select();
    document.execCommand("insertText", false, beginning(whole, takes));  // one step, which Ctrl+Z takes back
    say(area, whole);
  };
  // the browser's own setter: React would not notice a change that goes through its own
  const set = Object.getOwnPropertyDescriptor(HTMLTextAreaElement.prototype, "value").set;
  const written = (event) => {
    const area = event.target, takes = most(area);
    if (takes === Infinity) return;
    const text = area.value, kept = beginning(text, takes);
    if (kept.length < text.length) {
      const at = area.selectionStart;
      set.call(area, kept);
      area.setSelectionRange(at, at);
    }
    say(area, text);
  };
  const opened = (event) => { const href = event.detail && event.detail.href; if (href) follow(href); };
  document.addEventListener("click", clicked, true);
  document.addEventListener("keydown", pressed, true);
  document.addEventListener("paste", pasted, true);
  document.addEventListener("input", written, true);
  document.addEventListener("codescope-open", opened);
  document.documentElement.dataset.codescope = "ready";  // for tests: keys are heard from now on
  return () => {
    document.removeEventListener("click", clicked, true);
    document.removeEventListener("keydown", pressed, true);
    document.removeEventListener("paste", pasted, true);
    document.removeEventListener("input", written, true);
    document.removeEventListener("codescope-open", opened);
  };
}
"""


@st.cache_resource(show_spinner=False)
def _component() -> object:
    return st.components.v2.component("codescope.navigator", js=_JS)


def navigator() -> None:
    """Mount it, once a page."""
    _component()(key="navigator", height=1)  # type: ignore[operator]
