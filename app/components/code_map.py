"""Every code of a codebook as one mark on a canvas: in a grid (one cell a code) or at its 2-D position.

A canvas holds 100,000 codes where a chart of elements would hold 5,000. Hovering names the code, a click opens it.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import streamlit as st

from app import html
from backend.types import CodeRef

_CSS = """
.root { position: relative; color: var(--st-text-color); }
canvas {
  display: block; width: 100%; border: 1px solid var(--st-border-color); border-radius: 4px; cursor: crosshair;
}
.tip { min-height: 1.5em; font-size: 0.86rem; opacity: 0.8; font-variant-numeric: tabular-nums; padding-top: 0.2rem; }
"""
# Colours: viridis, which colour-blind people and black-and-white prints order correctly.
_JS = """
const STOPS = [
  [68, 1, 84], [71, 44, 122], [59, 81, 139], [44, 113, 142], [33, 144, 141],
  [39, 173, 129], [92, 200, 99], [170, 220, 50], [253, 231, 37],
];
const colour = (v) => {
  const at = Math.max(0, Math.min(1, v)) * (STOPS.length - 1);
  const i = Math.min(STOPS.length - 2, Math.floor(at)), f = at - i;
  return "rgb(" + [0, 1, 2].map((k) => Math.round(STOPS[i][k] + f * (STOPS[i + 1][k] - STOPS[i][k]))).join(",") + ")";
};
export default function (component) {
  const { data, parentElement } = component;
  let root = parentElement.querySelector(".root");
  if (!root) { root = document.createElement("div"); root.className = "root"; parentElement.appendChild(root); }
  const canvas = document.createElement("canvas"), tip = document.createElement("div");
  canvas.setAttribute("role", "img"); canvas.setAttribute("aria-label", data.alt);
  tip.className = "tip"; tip.textContent = data.hint;
  root.replaceChildren(canvas, tip);
  const n = data.code.length, places = new Float64Array(2 * n);
  let cell = 0, columns = 0, height = data.height;
  const draw = () => {
    const width = Math.max(120, root.clientWidth), ratio = window.devicePixelRatio || 1;
    if (data.grid) {
      cell = Math.max(2, Math.min(26, Math.floor(Math.sqrt(width * data.height / Math.max(1, n)))));
      columns = Math.max(1, Math.floor(width / cell));
      height = Math.max(cell, Math.ceil(n / columns) * cell);
    }
    canvas.width = width * ratio; canvas.height = height * ratio; canvas.style.height = height + "px";
    const pen = canvas.getContext("2d");
    pen.scale(ratio, ratio);
    const dark = getComputedStyle(root).colorScheme.includes("dark");
    const dead = dark ? "#2a2f34" : "#e8ebee";
    const pad = 14;
    for (let i = 0; i < n; i++) {
      pen.fillStyle = data.level[i] < 0 ? dead : colour(data.level[i]);
      if (data.grid) {
        const x = (i % columns) * cell, y = Math.floor(i / columns) * cell, gap = cell > 5 ? 1 : 0;
        places[2 * i] = x + cell / 2; places[2 * i + 1] = y + cell / 2;
        pen.fillRect(x, y, cell - gap, cell - gap);
      } else {
        const x = pad + data.x[i] * (width - 2 * pad), y = pad + (1 - data.y[i]) * (height - 2 * pad);
        places[2 * i] = x; places[2 * i + 1] = y;
        pen.globalAlpha = 0.85; pen.beginPath(); pen.arc(x, y, data.radius, 0, 7); pen.fill(); pen.globalAlpha = 1;
      }
      if (data.mark === data.code[i]) {
        pen.strokeStyle = dark ? "#fff" : "#000"; pen.lineWidth = 2; pen.beginPath();
        pen.arc(places[2 * i], places[2 * i + 1], 7, 0, 7); pen.stroke();
      }
    }
  };
  const nearest = (event) => {
    const box = canvas.getBoundingClientRect(), x = event.clientX - box.left, y = event.clientY - box.top;
    if (data.grid) {
      const i = Math.floor(y / cell) * columns + Math.floor(x / cell);
      return x < columns * cell && i < n ? i : -1;
    }
    let best = -1, least = 144;
    for (let i = 0; i < n; i++) {
      const d = (places[2 * i] - x) ** 2 + (places[2 * i + 1] - y) ** 2;
      if (d < least) { least = d; best = i; }
    }
    return best;
  };
  canvas.onmousemove = (event) => { const i = nearest(event); tip.textContent = i < 0 ? data.hint : data.tip[i]; };
  canvas.onmouseleave = () => { tip.textContent = data.hint; };
  canvas.onclick = (event) => {
    const i = nearest(event);
    const detail = { href: data.href + data.code[i] };
    if (i >= 0) document.dispatchEvent(new CustomEvent("codescope-open", { detail }));
  };
  draw();
  const watch = new ResizeObserver(() => draw());
  watch.observe(root);
  return () => watch.disconnect();
}
"""


def map_data(
    codes: pd.DataFrame,
    model: str,
    site: str,
    *,
    layout: str,
    labels: dict[CodeRef, str],
    alt: str,
    mark: int | None = None,
) -> dict[str, Any]:
    """What the map draws, as plain JSON values.

    Args:
        codes: what `Explorer.codes` says.
        model: the model.
        site: the codebook.
        layout: `grid`, `projection` (columns `x, y`) or `pca` (columns `pca_x, pca_y`).
        labels: people's labels of the model's codes.
        alt: what the picture shows, for those who hear it.
        mark: a code to ring.
    """
    shown = codes.reset_index(drop=True)
    if layout != "grid":
        across, up = ("x", "y") if layout == "projection" else ("pca_x", "pca_y")
        shown = shown[(shown["count"] > 0) & shown[across].notna()].reset_index(drop=True)
    counts = shown["count"].to_numpy(dtype=np.float64)
    top = np.log1p(counts.max()) if len(counts) and counts.max() > 0 else 1.0
    level = np.where(counts > 0, np.log1p(counts) / top, -1.0)
    data: dict[str, Any] = {
        "code": [int(c) for c in shown["code"]],
        "level": [round(float(v), 3) for v in level],
        "tip": [
            f"code {c} · fires {n:,} times ({html.share(s)} of positions)"
            + (f" · {html.visible_label(label)}" if label else "")
            for c, n, s, label in zip(
                shown["code"],
                shown["count"],
                shown["share"],
                (labels.get(CodeRef(model, site, int(c)), "") for c in shown["code"]),
                strict=True,
            )
        ],
        "grid": layout == "grid",
        "href": html.address("code", model=model, site=site) + "&code=",
        "alt": alt,
        "hint": "Point at a code to see how often it fires; click to open it. Bright: often; dark: rarely; grey: dead.",
        "height": 260 if layout == "grid" else 420,
        "radius": 3.5 if len(shown) < 3000 else 2,
        "mark": mark,
    }
    if layout != "grid":
        for name, column in (("x", across), ("y", up)):
            values = shown[column].to_numpy(dtype=np.float64)
            low, high = (values.min(), values.max()) if len(values) else (0.0, 1.0)
            data[name] = [round(float(v), 4) for v in (values - low) / max(high - low, 1e-12)]
    return data


@st.cache_resource(show_spinner=False)
def _component() -> Any:
    return st.components.v2.component("codescope.code_map", css=_CSS, js=_JS)


def code_map(data: dict[str, Any], *, key: str) -> None:
    """Draw what `map_data` made."""
    _component()(key=key, data=data)
