// Panes of one picture cut into cells, pointed at together. See token_map.py.
const PATCH = 60, PAUSE = 600;  // pixels; milliseconds
const PICKED = "#56b4e9", CHANGED = "#e69f00", CHOSEN = "#ffffff";

// [row, column] of every cell that a straight line touches, in its order; coordinates in cells, also outside the picture.
// The exact walk from border to border (Amanatides and Woo), not Bresenham's: a fast stroke, of which the browser
// tells few points, has to paint what a slow one along the same line paints.
export function cellsOnLine(fromX, fromY, toX, toY) {
  let col = Math.floor(fromX), row = Math.floor(fromY);
  const lastCol = Math.floor(toX), lastRow = Math.floor(toY), dx = toX - fromX, dy = toY - fromY;
  // how far along the line, from 0 to 1, the next border lies in each direction
  let nextX = dx ? (dx > 0 ? col + 1 - fromX : fromX - col) / Math.abs(dx) : Infinity;
  let nextY = dy ? (dy > 0 ? row + 1 - fromY : fromY - row) / Math.abs(dy) : Infinity;
  const touched = [[row, col]];
  while (col !== lastCol || row !== lastRow) {
    const across = row === lastRow || (col !== lastCol && nextX <= nextY);
    const down = col === lastCol || (row !== lastRow && nextY <= nextX);  // both: through a corner
    if (across) { col += Math.sign(dx); nextX += 1 / Math.abs(dx); }
    if (down) { row += Math.sign(dy); nextY += 1 / Math.abs(dy); }
    touched.push([row, col]);
  }
  return touched;
}

export default function (component) {
  const { data, parentElement, setTriggerValue } = component;
  let root = parentElement.querySelector(".root");
  if (!root) { root = document.createElement("div"); root.className = "root"; parentElement.appendChild(root); }
  const own = root.own || (root.own = {
    zoom: 1, x: 0.5, y: 0.5,  // how many times larger than whole, and which point of the picture is in the middle
    hover: -1, inside: false,  // the cell pointed at, with the pointer or the arrow keys; the pointer is over a pane
    from: -1, to: -1, dragging: null,  // of a rectangle
    stroke: null, brush: null,  // cells that the brush has touched, in order; where it is
    sent: 0,
  });
  const { rows, cols, panes } = data, cells = rows * cols;
  const element = (kind, css, into) => {
    const node = document.createElement(kind); if (css) node.className = css; if (into) into.appendChild(node); return node;
  };
  const shape = panes.map((p) => p.id).join() + data.side;
  if (own.shape !== shape) {  // the panes themselves stay while only what they show changes
    own.shape = shape;
    root.replaceChildren();
    const holder = element("div", "panes", root);
    own.parts = panes.map(() => {
      const figure = element("figure", "", holder), caption = element("figcaption", "", figure);
      const name = document.createTextNode(""); caption.appendChild(name);
      const note = element("span", "", caption), canvas = element("canvas", "pane", figure);
      canvas.tabIndex = 0;
      return { figure, name, note, canvas, image: null, url: "" };
    });
    const foot = element("div", "foot", root);
    own.patches = [element("canvas", "", foot), element("canvas", "", foot)];
    own.tip = element("div", "tip", foot); own.tip.setAttribute("aria-live", "polite");
    own.buttons = ["+", "\u2212", "1:1"].map((text) => {
      const button = element("button", "", foot); button.type = "button"; button.textContent = text; return button;
    });
    ["Zoom in", "Zoom out", "Show all"].forEach((text, i) => {
      own.buttons[i].title = text; own.buttons[i].setAttribute("aria-label", text);
    });
  }
  const parts = own.parts;
  const ratio = window.devicePixelRatio || 1;
  const rowOf = (cell) => Math.floor(cell / cols), colOf = (cell) => cell % cols;
  const isCell = (cell) => cell >= 0 && cell < cells;
  const box = (a, b) => [
    Math.min(rowOf(a), rowOf(b)), Math.min(colOf(a), colOf(b)), Math.max(rowOf(a), rowOf(b)) + 1, Math.max(colOf(a), colOf(b)) + 1,
  ];
  // The chosen cell. The address has it first: a link below the map has changed it before the page is drawn anew.
  const chosen = () => {
    const asked = new URLSearchParams(location.search).get("cell"), cell = asked === null ? data.selected : Number(asked);
    return Number.isInteger(cell) && isCell(cell) ? cell : -1;
  };
  const pointed = () => (isCell(own.hover) ? own.hover : chosen());
  // as many panes in a line as stay large enough to be pointed at, all of them as large
  const width = () => {
    const line = Math.max(1, Math.min(panes.length, Math.floor((root.clientWidth + 12) / (data.smallest + 12))));
    return Math.max(90, Math.min(data.side, Math.floor((root.clientWidth - 12 * (line - 1) - 2) / line)));
  };

  // ---- drawing

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
  const outline = (pen, within, side, high, colour) => {  // around cells, without the borders between them
    const edges = new Path2D();
    for (let i = 0; i < cells; i++) {
      if (!within(i)) continue;
      const row = rowOf(i), col = colOf(i), [left, top] = place(row, col, side, high), [right, bottom] = place(row + 1, col + 1, side, high);
      const edge = (x1, y1, x2, y2) => { edges.moveTo(x1, y1); edges.lineTo(x2, y2); };
      if (!row || !within(i - cols)) edge(left, top, right, top);
      if (row === rows - 1 || !within(i + cols)) edge(left, bottom, right, bottom);
      if (!col || !within(i - 1)) edge(left, top, left, bottom);
      if (col === cols - 1 || !within(i + 1)) edge(right, top, right, bottom);
    }
    const thick = side * own.zoom / cols > 10 ? 2 : 1;  // small cells would vanish under their border
    pen.lineCap = "square";
    pen.lineWidth = 2 * thick; pen.strokeStyle = "rgba(0,0,0,0.75)"; pen.stroke(edges);
    pen.lineWidth = thick; pen.strokeStyle = colour; pen.stroke(edges);
  };
  const draw = () => {
    clamp();
    const side = width(), high = Math.round(side * rows / cols), at = pointed(), selected = chosen();
    const touched = new Set(own.stroke || []), edited = new Set(data.edited);
    parts.forEach((part, index) => {
      const pane = panes[index], canvas = part.canvas;
      if (canvas.width !== Math.round(side * ratio) || canvas.height !== Math.round(high * ratio)) {
        canvas.width = Math.round(side * ratio); canvas.height = Math.round(high * ratio);
        canvas.style.width = side + "px"; canvas.style.height = high + "px";
      }
      part.figure.style.width = side + "px";
      const pen = canvas.getContext("2d");
      pen.setTransform(ratio, 0, 0, ratio, 0, 0); pen.clearRect(0, 0, side, high); pen.imageSmoothingEnabled = false;
      const cut = (image) => pen.drawImage(
        image, (own.x - span() / 2) * image.width, (own.y - span() / 2) * image.height, span() * image.width, span() * image.height, 0, 0, side, high);
      if (part.image) cut(part.image);
      if (own.overlay && pane.overlay) { pen.globalAlpha = data.opacity; cut(own.overlay); pen.globalAlpha = 1; }
      const step = side * own.zoom / cols, measured = pane.id === "error" || pane.id === "footprint";
      if (data.lines && step > 5 && !measured) {
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
      if (pane.edited && edited.size) outline(pen, (i) => edited.has(i), side, high, CHANGED);
      if (isCell(at) && !measured && !pane.edited && pane.id !== "other" && data.after[at] >= 0) {  // where else its code lies
        if (own.overlay && pane.overlay && data.ids) {
          pen.fillStyle = "rgba(13,17,23,0.4)";
          for (let i = 0; i < cells; i++) {
            if (data.after[i] === data.after[at]) continue;
            const [left, top] = place(rowOf(i), colOf(i), side, high), [right, bottom] = place(rowOf(i) + 1, colOf(i) + 1, side, high);
            pen.fillRect(left, top, right - left, bottom - top);
          }
        }
        outline(pen, (i) => data.after[i] === data.after[at], side, high, CHOSEN);
      }
      if (isCell(selected) && pane.id !== "other") frame(pen, box(selected, selected), side, high, PICKED, 2);
      if (pane.id === "other" && data.region) frame(pen, data.region, side, high, PICKED, 2);
      if (own.dragging && own.dragging.pane === pane.id) frame(pen, box(own.from, own.to), side, high, PICKED, 2);
      else if (isCell(own.hover)) frame(pen, box(own.hover, own.hover), side, high, CHOSEN, 1);
      if (touched.size && pane.id !== "other") {
        pen.fillStyle = "rgba(86,180,233,0.45)";
        for (const i of touched) {
          const [left, top] = place(rowOf(i), colOf(i), side, high), [right, bottom] = place(rowOf(i) + 1, colOf(i) + 1, side, high);
          pen.fillRect(left, top, right - left, bottom - top);
        }
        outline(pen, (i) => touched.has(i), side, high, PICKED);
      }
    });
  };
  const describe = (cell, pane) => {
    const tip = own.tip;
    tip.replaceChildren();
    own.patches.forEach((c) => { c.style.display = isCell(cell) ? "block" : "none"; });
    if (!isCell(cell)) { tip.textContent = data.hint; return; }
    const now = data.after[cell], was = data.before[cell];
    const text = (kind, words) => { const node = element(kind, "", tip); node.textContent = words; return node; };
    text("span", "row " + rowOf(cell) + ", column " + colOf(cell) + " \u00b7 " + data.site + " ").className = "more";
    text("b", pane && pane.id === "other" && data.other ? String(data.other[cell]) : String(now));
    const words = [];
    if (pane && pane.id === "other") words.push("in the other picture");
    else {
      const here = data.after.filter((code) => code === now).length;
      words.push("on " + here + " of " + cells + " cells here", data.counts[cell] + " " + data.counted);
      if (now !== was) words.push("was " + was);
      else if (data.runner_up[cell] >= 0) words.push("runner-up " + data.runner_up[cell] + ", farther by " + data.margin[cell]);
      if (data.error[cell] !== undefined) words.push("cell error " + data.error[cell]);
    }
    text("span", " \u00b7 " + words.join(" \u00b7 ")).className = "more";
    const named = (id) => panes.findIndex((p) => p.id === id);
    [0, Math.max(0, named("changed") >= 0 ? named("changed") : named("decoded"))].forEach((index, i) => {
      const image = parts[index].image, c = own.patches[i];
      c.width = PATCH * ratio; c.height = PATCH * ratio; c.style.width = c.style.height = PATCH + "px";
      c.title = panes[index].title + ": this cell";
      if (!image) return;
      const pen = c.getContext("2d"); pen.imageSmoothingEnabled = false;
      const w = image.width / cols, h = image.height / rows;
      pen.drawImage(image, colOf(cell) * w, rowOf(cell) * h, w, h, 0, 0, c.width, c.height);
    });
  };

  // ---- pointing

  const pointAt = (canvas, event) => {  // in cells; outside the canvas it lies beyond the borders
    const b = canvas.getBoundingClientRect();
    return [
      (own.x + ((event.clientX - b.left) / b.width - 0.5) * span()) * cols, (own.y + ((event.clientY - b.top) / b.height - 0.5) * span()) * rows,
    ];
  };
  const cellAt = (canvas, event) => {
    const [x, y] = pointAt(canvas, event);
    return Math.max(0, Math.min(rows - 1, Math.floor(y))) * cols + Math.max(0, Math.min(cols - 1, Math.floor(x)));
  };
  const paintTo = (canvas, event) => {  // every cell between the brush's last place and this one that is in sight
    const point = pointAt(canvas, event), half = span() / 2;
    for (const [row, col] of cellsOnLine(...(own.brush || point), ...point)) {
      const inSight = Math.abs((col + 0.5) / cols - own.x) < half + 0.5 / cols && Math.abs((row + 0.5) / rows - own.y) < half + 0.5 / rows;
      const cell = row * cols + col;
      if (row >= 0 && row < rows && col >= 0 && col < cols && inSight && !own.stroke.includes(cell)) own.stroke.push(cell);
    }
    own.brush = point;
  };
  const send = (report) => {
    clearTimeout(own.pause);  // while somebody goes on painting, only the map follows
    own.sent = performance.now(); root.dataset.shown = "";
    setTriggerValue("picked", report);
  };
  const report = (pane, a, b) => send({ pane, box: box(a, b) });
  const open = (cell) => {
    if (!isCell(cell) || data.after[cell] < 0) return;
    document.dispatchEvent(new CustomEvent("codescope-open", { detail: { href: data.href + data.after[cell] } }));
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
  const letGo = () => { own.hover = -1; describe(chosen(), null); draw(); };
  parts.forEach((part, index) => {
    const pane = panes[index], canvas = part.canvas;
    part.name.data = pane.title; part.note.textContent = pane.note;
    canvas.setAttribute("role", "application"); canvas.setAttribute("aria-label", pane.alt);
    if (part.url !== pane.url) {
      part.url = pane.url;
      const image = new Image();
      image.onload = () => {
        if (part.url !== image.src) return;
        part.image = image; draw(); describe(pointed(), null);
        if (pane.id === data.answer) settle();
      };
      image.src = pane.url;
    }
    const moved = (event) => {  // the browser gathers the moves between two frames: all of them count
      const all = event.getCoalescedEvents ? event.getCoalescedEvents() : [];
      for (const each of all.length ? all : [event]) paintTo(canvas, each);
    };
    canvas.onpointermove = (event) => {
      const cell = cellAt(canvas, event);
      own.inside = true;
      if (own.panning) {
        const b = canvas.getBoundingClientRect();
        own.x -= event.movementX / b.width * span(); own.y -= event.movementY / b.height * span(); draw(); return;
      }
      if (own.stroke) moved(event);
      if (own.dragging) own.to = cell;
      if (cell !== own.hover || own.dragging || own.stroke) { own.hover = cell; describe(cell, pane); draw(); }
    };
    canvas.onpointerdown = (event) => {
      if (event.button === 1 || event.shiftKey) { own.panning = true; canvas.setPointerCapture(event.pointerId); event.preventDefault(); return; }
      if (event.button || !event.isPrimary) return;
      canvas.setPointerCapture(event.pointerId);
      if (data.strokes && pane.id !== "other") { own.stroke = []; own.brush = null; paintTo(canvas, event); draw(); return; }
      own.from = own.to = cellAt(canvas, event); own.dragging = { pane: pane.id }; draw();
    };
    canvas.onpointerup = (event) => {
      if (own.panning) { own.panning = false; return; }
      if (own.stroke) {
        moved(event);
        const touched = own.stroke;
        own.stroke = null;
        if (touched.length) send({ pane: pane.id, box: box(touched[0], touched[touched.length - 1]), cells: touched });
        draw();
        return;
      }
      if (!own.dragging) return;
      own.dragging = null; report(pane.id, own.from, own.to); draw();
    };
    canvas.onpointercancel = () => { own.dragging = own.stroke = null; own.panning = false; draw(); };
    canvas.onpointerleave = () => { own.inside = false; if (!own.dragging && !own.stroke) letGo(); };
    canvas.onblur = () => { if (!own.inside) letGo(); };  // the arrow keys point no longer
    canvas.ondblclick = (event) => { if (data.tool === "look") open(cellAt(canvas, event)); };
    canvas.onwheel = (event) => {
      if (!event.ctrlKey && !event.metaKey) return;
      event.preventDefault();
      const b = canvas.getBoundingClientRect();
      zoom(event.deltaY < 0 ? 1.25 : 0.8, (event.clientX - b.left) / b.width, (event.clientY - b.top) / b.height);
    };
    canvas.onkeydown = (event) => {
      const moves = { ArrowUp: -cols, ArrowDown: cols, ArrowLeft: -1, ArrowRight: 1 };
      const at = Math.max(0, pointed());
      if (event.key in moves) {
        event.preventDefault();
        const edge = (event.key === "ArrowLeft" && colOf(at) === 0) || (event.key === "ArrowRight" && colOf(at) === cols - 1);
        const next = at + moves[event.key];
        if (edge || next < 0 || next >= cells) return;
        if (event.shiftKey) { if (!own.dragging) { own.dragging = { pane: pane.id }; own.from = at; } own.to = next; } else own.dragging = null;
        own.hover = next; describe(next, pane); draw();
      } else if (event.key === "Enter" || event.key === " ") {
        event.preventDefault();
        const from = own.dragging ? own.from : at; own.dragging = null; report(pane.id, from, at);
      } else if (event.key === "Escape") { own.dragging = own.stroke = null; draw(); }
      else if (event.key === "+" || event.key === "=") zoom(1.6);
      else if (event.key === "-") zoom(1 / 1.6);
    };
  });
  if (own.overlayUrl !== data.overlay) {
    own.overlayUrl = data.overlay; own.overlay = null;
    if (data.overlay) { const image = new Image(); image.onload = () => { own.overlay = image; draw(); }; image.src = data.overlay; }
  }
  if (own.selected !== data.selected) {  // chosen outside the map, by a link: that cell is meant now
    own.selected = data.selected;
    if (!own.inside) own.hover = -1;
  }
  // of the whole page: O is pressed wherever the focus is
  document.removeEventListener("keydown", own.opened);
  own.opened = (event) => {
    const at = event.composedPath()[0], written = /^(text|search|number|email|url|password)$/;
    const typing = at && at.tagName && (
      /^(TEXTAREA|SELECT)$/.test(at.tagName) || (at.tagName === "INPUT" && written.test(at.type)) || at.isContentEditable);
    if (typing || event.ctrlKey || event.metaKey || event.altKey || event.key.toLowerCase() !== "o") return;
    open(pointed());
  };
  document.addEventListener("keydown", own.opened);
  describe(pointed(), null);
  draw();
  const waits = panes.some((pane, index) => pane.id === data.answer && !(parts[index].image && parts[index].image.src === pane.url));
  if (!waits) settle();
  if (!own.sent) own.version = data.version;
  const watch = new ResizeObserver(() => draw());
  watch.observe(root);
  const opened = own.opened;
  return () => { watch.disconnect(); document.removeEventListener("keydown", opened); };
}
