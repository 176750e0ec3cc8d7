// Every code of a codebook as one mark. See code_map.py.
// Colours: viridis, which colour-blind people and black-and-white prints order correctly.
const STOPS = [
  [68, 1, 84], [71, 44, 122], [59, 81, 139], [44, 113, 142], [33, 144, 141],
  [39, 173, 129], [92, 200, 99], [170, 220, 50], [253, 231, 37],
];
const SHADES = 256;
const palette = Array.from({ length: SHADES }, (_, s) => {
  const at = (s / (SHADES - 1)) * (STOPS.length - 1), i = Math.min(STOPS.length - 2, Math.floor(at)), f = at - i;
  return [0, 1, 2].map((k) => Math.round(STOPS[i][k] + f * (STOPS[i + 1][k] - STOPS[i][k])));
});
export default function (component) {
  const { data, parentElement } = component;
  let root = parentElement.querySelector(".root");
  if (!root) { root = document.createElement("div"); root.className = "root"; parentElement.appendChild(root); }
  const canvas = document.createElement("canvas"), tip = document.createElement("div");
  canvas.setAttribute("role", "img"); canvas.setAttribute("aria-label", data.alt);
  tip.className = "tip"; tip.textContent = data.hint;
  root.replaceChildren(canvas, tip);
  const n = data.count.length, places = new Float64Array(2 * n);
  const top = data.count.reduce((most, c) => Math.max(most, c), 1), scale = (SHADES - 1) / Math.log1p(top);
  const code = (i) => (data.code ? data.code[i] : i);
  let cell = 0, columns = 0;
  const grid = (pen, dead) => {
    const rows = Math.ceil(n / columns), small = document.createElement("canvas");
    small.width = columns; small.height = rows;
    const image = new ImageData(columns, rows);
    for (let i = 0; i < n; i++) {
      const [r, g, b] = data.count[i] > 0 ? palette[Math.round(Math.log1p(data.count[i]) * scale)] : dead;
      image.data.set([r, g, b, 255], 4 * i);
      places[2 * i] = (i % columns + 0.5) * cell; places[2 * i + 1] = (Math.floor(i / columns) + 0.5) * cell;
    }
    small.getContext("2d").putImageData(image, 0, 0);
    pen.imageSmoothingEnabled = false;
    pen.drawImage(small, 0, 0, columns * cell, rows * cell);
    if (cell <= 5) return;
    for (let x = 1; x <= columns; x++) pen.clearRect(x * cell - 1, 0, 1, rows * cell);
    for (let y = 1; y <= rows; y++) pen.clearRect(0, y * cell - 1, columns * cell, 1);
  };
  const scatter = (pen, width, dark) => {
    const pad = 14;
    const across = (x) => pad + x * (width - 2 * pad), up = (y) => pad + (1 - y) * (data.height - 2 * pad);
    const order = Array.from({ length: n }, (_, i) => i).sort((a, b) => data.count[a] - data.count[b]);
    pen.globalAlpha = 0.85;
    for (const i of order) {  // the most used on top
      const x = places[2 * i] = across(data.x[i]), y = places[2 * i + 1] = up(data.y[i]), r = data.radius;
      pen.fillStyle = `rgb(${palette[Math.round(Math.log1p(data.count[i]) * scale)].join(",")})`;
      if (r < 2) { pen.fillRect(x - r, y - r, 2 * r, 2 * r); continue; }
      pen.beginPath(); pen.arc(x, y, r, 0, 7); pen.fill();
    }
    pen.globalAlpha = 0.55; pen.fillStyle = dark ? "#ff8a65" : "#d0421b";
    (data.over_x || []).forEach((x, i) => pen.fillRect(across(x) - 1, up(data.over_y[i]) - 1, 2, 2));
    pen.globalAlpha = 1;
  };
  const draw = () => {
    const width = Math.max(120, root.clientWidth), ratio = window.devicePixelRatio || 1;
    let height = data.height;
    if (data.grid) {
      const fitting = Math.floor(Math.sqrt(width * data.height / Math.max(1, n)));
      cell = Math.max(n > 200000 ? 1 : 2, Math.min(26, fitting));
      columns = Math.max(1, Math.floor(width / cell));
      height = Math.max(cell, Math.ceil(n / columns) * cell);
    }
    canvas.width = width * ratio; canvas.height = height * ratio; canvas.style.height = height + "px";
    const pen = canvas.getContext("2d");
    pen.scale(ratio, ratio);
    const dark = getComputedStyle(root).colorScheme.includes("dark");
    if (data.grid) grid(pen, dark ? [42, 47, 52] : [232, 235, 238]);
    else scatter(pen, width, dark);
    for (let i = 0; i < n; i++) {
      if (data.mark !== code(i)) continue;
      pen.strokeStyle = dark ? "#fff" : "#000"; pen.lineWidth = 2; pen.beginPath();
      pen.arc(places[2 * i], places[2 * i + 1], 7, 0, 7); pen.stroke();
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
  const share = (count) => (100 * count / data.positions).toPrecision(3).replace(/e.*/, "") + " %";
  const said = (i) => {
    const c = data.count[i], name = data.names[code(i)];
    return `code ${code(i)} · ` + (c ? `fires ${c.toLocaleString("en")} times (${share(c)} of positions)` : "dead")
      + (name ? ` · ${name}` : "");
  };
  canvas.onmousemove = (event) => { const i = nearest(event); tip.textContent = i < 0 ? data.hint : said(i); };
  canvas.onmouseleave = () => { tip.textContent = data.hint; };
  canvas.onclick = (event) => {
    const i = nearest(event);
    const detail = { href: data.href + code(i) };
    if (i >= 0) document.dispatchEvent(new CustomEvent("codescope-open", { detail }));
  };
  const named = (event) => Object.assign(data.names, event.detail[data.codebook]);  // see chip_names.js
  document.addEventListener("codescope-names", named);
  const watch = new ResizeObserver(() => draw());  // which calls it at once, before the page is painted
  watch.observe(root);
  return () => { watch.disconnect(); document.removeEventListener("codescope-names", named); };
}
