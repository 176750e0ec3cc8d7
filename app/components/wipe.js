// One slider for all pictures: left of it the original, right of it what a tokenizer made. See wipe.py.
export default function (component) {
  const { data, parentElement } = component;
  let root = parentElement.querySelector(".root");
  if (!root) { root = document.createElement("div"); root.className = "root"; parentElement.appendChild(root); }
  // the reconstruction is whole at first: the original stands beside it, and half of a picture is not what was made of it
  const own = root.own || (root.own = { split: 0, zoom: 1, x: 0.5, y: 0.5, images: new Map() });
  const make = (kind, css, into, text) => {
    const node = document.createElement(kind);
    if (css) node.className = css;
    if (text !== undefined) node.textContent = text;
    if (into) into.appendChild(node);
    return node;
  };
  root.replaceChildren();
  const bar = make("div", "bar", root);
  const label = make("label", "", bar, data.wipes ? "Original" : "");
  const slider = make("input", "", label);
  slider.type = "range"; slider.min = 0; slider.max = 100; slider.step = 0.5; slider.value = own.split;
  slider.setAttribute("aria-label", "Where the original ends and the reconstruction begins, in all pictures");
  if (data.wipes) make("span", "", label, data.right); else slider.style.display = "none";
  const note = make("span", "note", bar, data.note);
  const zooms = make("span", "zooms", bar);
  const table = make("div", "grid", root);
  table.style.gridTemplateColumns = "8rem repeat(" + data.columns.length + ", minmax(0, " + data.side + "px))";
  make("div", "", table);
  for (const column of data.columns) {
    const head = make("div", "head", table, column.title);
    make("span", "", head, column.note);
  }
  const panes = [];
  const ratio = window.devicePixelRatio || 1;
  const load = (url) => {
    if (!own.images.has(url)) {
      const image = new Image();
      image.onload = () => draw();
      image.src = url;
      own.images.set(url, image);
    }
    return own.images.get(url);
  };
  const draw = () => {
    const half = 0.5 / own.zoom;
    own.x = Math.max(half, Math.min(1 - half, own.x));
    own.y = Math.max(half, Math.min(1 - half, own.y));
    for (const { canvas, under, over } of panes) {
      const side = Math.max(60, Math.min(data.side, canvas.parentElement.clientWidth, window.innerHeight - 160));
      canvas.style.width = canvas.style.height = side + "px";
      const whole = Math.round(side * ratio);  // a new canvas is 300 wide and 150 high: look at both
      if (canvas.width !== whole || canvas.height !== whole) canvas.width = canvas.height = whole;
      const pen = canvas.getContext("2d");
      pen.setTransform(ratio, 0, 0, ratio, 0, 0);
      pen.imageSmoothingEnabled = false;
      const paint = (image) => {
        if (!image.complete || !image.naturalWidth) return;
        const w = image.naturalWidth, h = image.naturalHeight;
        pen.drawImage(image, (own.x - half) * w, (own.y - half) * h, w / own.zoom, h / own.zoom, 0, 0, side, side);
      };
      pen.clearRect(0, 0, side, side);
      paint(over);
      if (under) {
        const at = (own.split / 100) * side;
        pen.save(); pen.beginPath(); pen.rect(0, 0, at, side); pen.clip(); paint(under); pen.restore();
        if (at > 0 && at < side) {
          pen.fillStyle = "rgba(0,0,0,0.6)"; pen.fillRect(at - 1.5, 0, 3, side);
          pen.fillStyle = "#fff"; pen.fillRect(at - 0.5, 0, 1, side);
        }
      }
    }
  };
  const zoom = (factor, x, y) => {
    const before = 1 / own.zoom;
    own.zoom = Math.max(1, Math.min(16, own.zoom * factor));
    if (x !== undefined) { own.x += (x - 0.5) * (before - 1 / own.zoom); own.y += (y - 0.5) * (before - 1 / own.zoom); }
    draw();
  };
  for (const [text, title, act] of [
    ["+", "Zoom in, all pictures", () => zoom(1.5)],
    ["\u2212", "Zoom out", () => zoom(1 / 1.5)],
    ["1:1", "Show all", () => { own.zoom = 1; draw(); }],
  ]) {
    const button = make("button", "", zooms, text);
    button.type = "button"; button.title = title; button.setAttribute("aria-label", title); button.onclick = act;
  }
  const move = (value) => { own.split = Math.max(0, Math.min(100, value)); slider.value = own.split; draw(); };
  slider.oninput = () => move(Number(slider.value));
  for (const row of data.rows) {
    const name = make("div", "name", table);
    if (row.href) {
      const link = make("a", "", name, row.title);
      link.href = row.href;
      link.onclick = (event) => {
        if (event.ctrlKey || event.metaKey || event.shiftKey) return;
        event.preventDefault();
        document.dispatchEvent(new CustomEvent("codescope-open", { detail: { href: row.href } }));
      };
    } else make("b", "", name, row.title);
    for (const line of row.notes) make("span", "", name, line);
    row.cells.forEach((cell) => {
      const holder = make("div", "cell", table), canvas = make("canvas", "", holder);
      canvas.setAttribute("role", "img"); canvas.setAttribute("aria-label", cell.alt); canvas.title = cell.alt;
      make("span", "", holder, cell.note);
      panes.push({ canvas, under: cell.wipes ? load(row.original) : null, over: load(cell.url) });
      const at = (event) => { const b = canvas.getBoundingClientRect(); return [(event.clientX - b.left) / b.width, (event.clientY - b.top) / b.height]; };
      let dragging = false;
      canvas.onpointerdown = (event) => { dragging = true; canvas.setPointerCapture(event.pointerId); if (cell.wipes && !event.shiftKey) move(at(event)[0] * 100); };
      canvas.onpointermove = (event) => {
        if (!dragging) return;
        if (cell.wipes && !event.shiftKey) move(at(event)[0] * 100);
        else {
          const b = canvas.getBoundingClientRect();
          own.x -= event.movementX / b.width / own.zoom; own.y -= event.movementY / b.height / own.zoom; draw();
        }
      };
      canvas.onpointerup = canvas.onpointercancel = () => { dragging = false; };
      canvas.onwheel = (event) => {
        if (!event.ctrlKey && !event.metaKey) return;
        event.preventDefault(); zoom(event.deltaY < 0 ? 1.25 : 0.8, ...at(event));
      };
    });
  }
  draw();
  const watch = new ResizeObserver(() => draw());
  watch.observe(root);
  return () => watch.disconnect();
}
