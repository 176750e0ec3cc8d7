const PATCH = 60, PAUSE = 600;  // pixels; milliseconds
export default function (component) {
  const { data, parentElement, setTriggerValue } = component;
  let root = parentElement.querySelector(".root");
  if (!root) { root = document.createElement("div"); root.className = "root"; parentElement.appendChild(root); }
  const own = root.own || (root.own = { zoom: 1, x: 0.5, y: 0.5, hover: -1, from: -1, to: -1, dragging: null, sent: 0 });
  const { rows, cols, panes } = data, cells = rows * cols;
  const make = (kind, css, into) => {
    const made = document.createElement(kind); if (css) made.className = css; if (into) into.appendChild(made); return made;
  };
  const shape = panes.map((p) => p.id).join() + data.side;
  if (own.shape !== shape) {  // the panes themselves stay while only what they show changes
    own.shape = shape;
    root.replaceChildren();
    const holder = make("div", "panes", root);
    own.parts = panes.map(() => {
      const figure = make("figure", "", holder), caption = make("figcaption", "", figure);
      const name = document.createTextNode(""); caption.appendChild(name);
      const note = make("span", "", caption), canvas = make("canvas", "pane", figure);
      canvas.tabIndex = 0;
      return { name, note, canvas, image: null, url: "" };
    });
    const foot = make("div", "foot", root);
    own.patches = [make("canvas", "", foot), make("canvas", "", foot)];
    own.tip = make("div", "tip", foot); own.tip.setAttribute("aria-live", "polite");
    own.buttons = ["+", "\u2212", "1:1"].map((text) => {
      const made = make("button", "", foot); made.type = "button"; made.textContent = text; return made;
    });
    ["Zoom in", "Zoom out", "Show all"].forEach((text, i) => {
      own.buttons[i].title = text; own.buttons[i].setAttribute("aria-label", text);
    });
  }
  const parts = own.parts;
  const ratio = window.devicePixelRatio || 1;
  const width = () => Math.max(90, Math.min(data.side, Math.floor((root.clientWidth - 12 * (panes.length - 1) - 2) / panes.length)));
  const rowOf = (cell) => Math.floor(cell / cols), colOf = (cell) => cell % cols;
  const box = (a, b) => [
    Math.min(rowOf(a), rowOf(b)), Math.min(colOf(a), colOf(b)), Math.max(rowOf(a), rowOf(b)) + 1, Math.max(colOf(a), colOf(b)) + 1,
  ];
  const span = () => 1 / own.zoom;
  const clamp = () => {
    const half = span() / 2;
    own.x = Math.max(half, Math.min(1 - half, own.x)); own.y = Math.max(half, Math.min(1 - half, own.y));
  };
  const place = (row, col, side, high) => [(col / cols - own.x + span() / 2) * own.zoom * side, (row / rows - own.y + span() / 2) * own.zoom * high];
  const frame = (pen, b, side, high, colour, thick) => {
    const [left, top] = place(b[0], b[1], side, high), [right, bottom] = place(b[2], b[3], side, high);
    pen.lineWidth = thick + 2; pen.strokeStyle = "rgba(0,0,0,0.75)"; pen.strokeRect(left, top, right - left, bottom - top);
    pen.lineWidth = thick; pen.strokeStyle = colour; pen.strokeRect(left, top, right - left, bottom - top);
  };
  const draw = () => {
    clamp();
    const side = width(), high = Math.round(side * rows / cols);
    parts.forEach((part, index) => {
      const pane = panes[index], canvas = part.canvas;
      if (canvas.width !== Math.round(side * ratio) || canvas.height !== Math.round(high * ratio)) {
        canvas.width = Math.round(side * ratio); canvas.height = Math.round(high * ratio);
        canvas.style.width = side + "px"; canvas.style.height = high + "px";
      }
      const pen = canvas.getContext("2d");
      pen.setTransform(ratio, 0, 0, ratio, 0, 0); pen.clearRect(0, 0, side, high); pen.imageSmoothingEnabled = false;
      const cut = (image) => pen.drawImage(
        image, (own.x - span() / 2) * image.width, (own.y - span() / 2) * image.height, span() * image.width, span() * image.height, 0, 0, side, high);
      if (part.image) cut(part.image);
      if (own.overlay && pane.overlay) { pen.globalAlpha = data.opacity; cut(own.overlay); pen.globalAlpha = 1; }
      const step = side * own.zoom / cols;
      if (data.lines && step > 5 && pane.id !== "error" && pane.id !== "footprint") {
        pen.lineWidth = 1; pen.strokeStyle = "rgba(128,128,128,0.45)"; pen.beginPath();
        for (let c = 0; c <= cols; c++) { const x = Math.round(place(0, c, side, high)[0]) + 0.5; pen.moveTo(x, 0); pen.lineTo(x, high); }
        for (let r = 0; r <= rows; r++) { const y = Math.round(place(r, 0, side, high)[1]) + 0.5; pen.moveTo(0, y); pen.lineTo(side, y); }
        pen.stroke();
      }
      if (data.ids && step > 30 && pane.codes) {
        pen.font = Math.min(13, step / 3.2) + "px ui-monospace, monospace"; pen.textAlign = "center"; pen.textBaseline = "middle";
        for (let i = 0; i < cells; i++) {
          const [x, y] = place(rowOf(i) + 0.5, colOf(i) + 0.5, side, high), text = String(data[pane.codes][i]);
          pen.lineWidth = 3; pen.strokeStyle = "rgba(0,0,0,0.7)"; pen.strokeText(text, x, y); pen.fillStyle = "#fff"; pen.fillText(text, x, y);
        }
      }
      if (pane.edited) for (const i of data.edited) frame(pen, box(i, i), side, high, "#e69f00", 1);
      if (data.selected >= 0 && data.selected < cells && pane.id !== "other") frame(pen, box(data.selected, data.selected), side, high, "#ffffff", 2);
      if (pane.id === "other" && data.region) frame(pen, data.region, side, high, "#56b4e9", 2);
      if (own.dragging && own.dragging.pane === pane.id) frame(pen, box(own.from, own.to), side, high, "#56b4e9", 2);
      else if (own.hover >= 0 && own.hover < cells) frame(pen, box(own.hover, own.hover), side, high, "#ffffff", 1);
    });
  };
  const tell = (cell, pane) => {
    const tip = own.tip;
    tip.replaceChildren();
    own.patches.forEach((c) => { c.style.display = cell < 0 ? "none" : "block"; });
    if (cell < 0) { tip.textContent = data.hint; return; }
    const now = data.after[cell], was = data.before[cell];
    const text = (kind, words) => { const made = make(kind, "", tip); made.textContent = words; return made; };
    const at = text("span", "row " + rowOf(cell) + ", column " + colOf(cell) + " \u00b7 " + data.site + " "); at.className = "more";
    text("b", pane && pane.id === "other" && data.other ? String(data.other[cell]) : String(now));
    const count = data.counts[cell], words = [];
    if (pane && pane.id === "other") words.push("in the other picture");
    else {
      words.push(count + " " + data.counted);
      if (now !== was) words.push("was " + was);
      else if (data.runner_up[cell] >= 0) words.push("runner-up " + data.runner_up[cell] + ", farther by " + data.margin[cell]);
      if (data.error[cell] !== undefined) words.push("error " + data.error[cell]);
    }
    text("span", " \u00b7 " + words.join(" \u00b7 ")).className = "more";
    [0, Math.min(parts.length - 1, panes.findIndex((p) => p.codes === "after") >= 0 ? panes.findIndex((p) => p.codes === "after") : 1)].forEach((index, i) => {
      const image = parts[index].image, c = own.patches[i];
      c.width = PATCH * ratio; c.height = PATCH * ratio; c.style.width = c.style.height = PATCH + "px";
      c.title = panes[index].title + ": this cell";
      if (!image) return;
      const pen = c.getContext("2d"); pen.imageSmoothingEnabled = false;
      const w = image.width / cols, h = image.height / rows;
      pen.drawImage(image, colOf(cell) * w, rowOf(cell) * h, w, h, 0, 0, c.width, c.height);
    });
  };
  const cellAt = (canvas, event) => {
    const b = canvas.getBoundingClientRect();
    const x = own.x + ((event.clientX - b.left) / b.width - 0.5) * span(), y = own.y + ((event.clientY - b.top) / b.height - 0.5) * span();
    const c = Math.max(0, Math.min(cols - 1, Math.floor(x * cols))), r = Math.max(0, Math.min(rows - 1, Math.floor(y * rows)));
    return r * cols + c;
  };
  const report = (pane, a, b) => {
    clearTimeout(own.pause);  // while somebody goes on painting, only the map follows
    own.sent = performance.now(); root.dataset.shown = "";
    setTriggerValue("picked", { pane, box: box(a, b) });
  };
  const open = (cell) => {
    const detail = { href: data.href + data.after[cell] };
    if (cell >= 0 && data.after[cell] >= 0) document.dispatchEvent(new CustomEvent("codescope-open", { detail }));
  };
  const zoom = (factor, x, y) => {
    const before = span();
    own.zoom = Math.max(1, Math.min(Math.max(1, Math.max(rows, cols) / 3), own.zoom * factor));
    if (x !== undefined) { own.x += (x - 0.5) * (before - span()); own.y += (y - 0.5) * (before - span()); }
    draw();
  };
  const settle = () => {  // what was chosen is seen now: note how long it took, and let the page do the rest
    if (!own.sent || own.version === data.version) return;
    const began = own.sent;
    own.sent = 0;
    own.version = data.version;
    requestAnimationFrame(() => {
      root.dataset.shown = String(Math.round(performance.now() - began));
      own.pause = setTimeout(() => document.dispatchEvent(new CustomEvent("codescope-settled")), PAUSE);
    });
  };
  own.buttons[0].onclick = () => zoom(1.6);
  own.buttons[1].onclick = () => zoom(1 / 1.6);
  own.buttons[2].onclick = () => { own.zoom = 1; draw(); };
  parts.forEach((part, index) => {
    const pane = panes[index], canvas = part.canvas;
    part.name.data = pane.title; part.note.textContent = pane.note;
    canvas.setAttribute("role", "application"); canvas.setAttribute("aria-label", pane.alt);
    if (part.url !== pane.url) {
      part.url = pane.url;
      const image = new Image();
      image.onload = () => {
        if (part.url !== image.src) return;
        part.image = image; draw(); tell(own.hover >= 0 ? own.hover : data.selected, null);
        if (pane.id === data.answer) settle();
      };
      image.src = pane.url;
    }
    canvas.onpointermove = (event) => {
      const cell = cellAt(canvas, event);
      if (own.panning) {
        const b = canvas.getBoundingClientRect();
        own.x -= event.movementX / b.width * span(); own.y -= event.movementY / b.height * span(); draw(); return;
      }
      if (own.dragging) own.to = cell;
      if (cell !== own.hover || own.dragging) { own.hover = cell; tell(cell, pane); draw(); }
    };
    canvas.onpointerdown = (event) => {
      if (event.button === 1 || event.shiftKey) { own.panning = true; canvas.setPointerCapture(event.pointerId); event.preventDefault(); return; }
      if (event.button) return;
      canvas.setPointerCapture(event.pointerId);
      own.from = own.to = cellAt(canvas, event); own.dragging = { pane: pane.id }; draw();
    };
    canvas.onpointerup = () => {
      if (own.panning) { own.panning = false; return; }
      if (!own.dragging) return;
      own.dragging = null; report(pane.id, own.from, own.to); draw();
    };
    canvas.onpointercancel = () => { own.dragging = null; own.panning = false; draw(); };
    canvas.onpointerleave = () => { if (!own.dragging) { own.hover = -1; tell(data.selected, null); draw(); } };
    canvas.ondblclick = (event) => { if (data.tool === "look") open(cellAt(canvas, event)); };
    canvas.onwheel = (event) => {
      if (!event.ctrlKey && !event.metaKey) return;
      event.preventDefault();
      const b = canvas.getBoundingClientRect();
      zoom(event.deltaY < 0 ? 1.25 : 0.8, (event.clientX - b.left) / b.width, (event.clientY - b.top) / b.height);
    };
    canvas.onkeydown = (event) => {
      const moves = { ArrowUp: -cols, ArrowDown: cols, ArrowLeft: -1, ArrowRight: 1 };
      const at = own.hover >= 0 ? own.hover : Math.max(0, data.selected);
      if (event.key in moves) {
        event.preventDefault();
        const edge = (event.key === "ArrowLeft" && colOf(at) === 0) || (event.key === "ArrowRight" && colOf(at) === cols - 1);
        const next = at + moves[event.key];
        if (edge || next < 0 || next >= cells) return;
        if (event.shiftKey) { if (!own.dragging) { own.dragging = { pane: pane.id }; own.from = at; } own.to = next; } else own.dragging = null;
        own.hover = next; tell(next, pane); draw();
      } else if (event.key === "Enter" || event.key === " ") {
        event.preventDefault();
        const from = own.dragging ? own.from : at; own.dragging = null; report(pane.id, from, at);
      } else if (event.key === "Escape") { own.dragging = null; draw(); }
      else if (event.key === "+" || event.key === "=") zoom(1.6);
      else if (event.key === "-") zoom(1 / 1.6);
    };
  });
  if (own.overlayUrl !== data.overlay) {
    own.overlayUrl = data.overlay; own.overlay = null;
    if (data.overlay) { const image = new Image(); image.onload = () => { own.overlay = image; draw(); }; image.src = data.overlay; }
  }
  // of the whole page: a cell may have been chosen outside the map, by a link
  document.removeEventListener("keydown", own.opened);
  own.opened = (event) => {
    const at = event.composedPath()[0];
    const typing = at && at.tagName && (/^(INPUT|TEXTAREA|SELECT)$/.test(at.tagName) || at.isContentEditable);
    if (typing || event.ctrlKey || event.metaKey || event.altKey || event.key.toLowerCase() !== "o") return;
    open(own.hover >= 0 ? own.hover : data.selected);
  };
  document.addEventListener("keydown", own.opened);
  tell(own.hover >= 0 ? own.hover : data.selected, null);
  draw();
  const waits = panes.some((pane, index) => pane.id === data.answer && !(parts[index].image && parts[index].image.src === pane.url));
  if (!waits) settle();
  if (!own.sent) own.version = data.version;
  const watch = new ResizeObserver(() => draw());
  watch.observe(root);
  const opened = own.opened;
  return () => { watch.disconnect(); document.removeEventListener("keydown", opened); };
}
