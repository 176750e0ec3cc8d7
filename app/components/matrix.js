const FONT = '11px "Source Code Pro", monospace', TITLE = '12px "Source Sans", sans-serif';
const APART = 12;  // pixels between two names on a side
const NEAR = 5;  // pixels from the pointer to a mark that is smaller than that

const between = (stops, share) => {
  const at = share * (stops.length - 1), i = Math.min(stops.length - 2, Math.floor(at)), f = at - i;
  if (stops.length === 1) return `rgba(${stops[0].join(",")})`;
  return `rgba(${stops[i].map((v, k) => v + f * (stops[i + 1][k] - v)).join(",")})`;
};
const MARKS = {
  square: (pen, x, y, w, h) => pen.fillRect(x - w / 2, y - h / 2, w, h),
  cross: (pen, x, y, w, h) => {
    pen.fillRect(x - w / 2, y - h / 6, w, h / 3);
    pen.fillRect(x - w / 6, y - h / 2, w / 3, h);
  },
  diamond: (pen, x, y, w, h) => {
    pen.beginPath();
    pen.moveTo(x, y - h / 2); pen.lineTo(x + w / 2, y); pen.lineTo(x, y + h / 2); pen.lineTo(x - w / 2, y);
    pen.fill();
  },
};

export default function (component) {
  const { data, parentElement } = component;
  const element = (name, css) => Object.assign(document.createElement(name), { className: css });
  let root = parentElement.querySelector(".root");
  if (!root) { root = element("div", "root"); parentElement.appendChild(root); }
  const canvas = element("canvas", ""), tip = element("div", "tip");
  const across = element("div", "line"), down = element("div", "line");
  canvas.setAttribute("role", "img"); canvas.setAttribute("aria-label", data.alt);
  const [opened, address] = data.opens;
  const n = data.row.length, rows = data.rows.length, columns = data.columns.length;
  const order = Array.from({ length: n }, (_, i) => i).sort((a, b) => data.kind[a] - data.kind[b]);
  const isDark = () => getComputedStyle(root).colorScheme.includes("dark");
  const stopsOf = (kind) => (isDark() ? kind.dark : kind.light);
  let left = 0, width = 0, height = 0, top = 0;

  const legend = element("div", "legend");
  const showLegend = () => {
    const bar = element("i", ""), stops = stopsOf(data.kinds[0]).map((c) => `rgba(${c.join(",")})`);
    bar.style.background = `linear-gradient(to right, ${stops.join(",")})`;
    legend.replaceChildren("0 %", bar, "100 % " + data.legend);
  };
  root.replaceChildren(...(data.legend ? [legend] : []), canvas, across, down, tip);

  const draw = () => {
    const ratio = window.devicePixelRatio || 1, whole = Math.max(160, root.clientWidth);
    const pen = canvas.getContext("2d");
    pen.font = FONT;
    const wide = (names) => pen.measureText(names.reduce((most, n) => (n.length > most.length ? n : most), "")).width;
    left = 22 + wide(data.rows) + 6;
    const below = wide(data.columns) + 8 + 20;
    top = 4;
    width = whole - left - 4;
    height = data.height;
    if (data.square) width = height = Math.min(width, data.height);
    canvas.width = (left + width + 4) * ratio; canvas.height = (top + height + below) * ratio;
    canvas.style.width = left + width + 4 + "px"; canvas.style.height = top + height + below + "px";
    pen.scale(ratio, ratio);
    const w = width / columns, h = height / rows;
    pen.fillStyle = getComputedStyle(root).color;
    pen.globalAlpha = 0.75; pen.font = FONT; pen.textBaseline = "middle"; pen.textAlign = "right";
    for (let r = 0; r < rows; r += Math.ceil(APART / h)) pen.fillText(data.rows[r], left - 6, top + (r + 0.5) * h);
    const turned = (x, y, text) => {
      pen.save(); pen.translate(x, y); pen.rotate(-Math.PI / 2); pen.fillText(text, 0, 0); pen.restore();
    };
    for (let c = 0; c < columns; c += Math.ceil(APART / w)) turned(left + (c + 0.5) * w, top + height + 6, data.columns[c]);
    pen.font = TITLE; pen.textAlign = "center";
    turned(8, top + height / 2, data.titles[0]);
    pen.fillText(data.titles[1], left + width / 2, top + height + below - 9);
    pen.globalAlpha = 1;
    const colours = data.kinds.map((kind) =>
      Array.from({ length: 101 }, (_, s) => between(stopsOf(kind), s / 100)));
    for (const i of order) {
      const kind = data.kinds[data.kind[i]];
      pen.fillStyle = colours[data.kind[i]][data.shade[i]];
      MARKS[kind.shape](pen, left + (data.column[i] + 0.5) * w, top + (data.row[i] + 0.5) * h,
        Math.max(kind.least, w * kind.fill), Math.max(kind.least, h * kind.fill));
    }
    if (data.legend) showLegend();
  };

  const nearest = (x, y) => {
    const w = width / columns, h = height / rows;
    let best = -1, least = Infinity;
    for (const i of order) {
      const dx = Math.abs(left + (data.column[i] + 0.5) * w - x), dy = Math.abs(top + (data.row[i] + 0.5) * h - y);
      if (dx <= Math.max(w / 2, NEAR) && dy <= Math.max(h / 2, NEAR) && dx * dx + dy * dy <= least) {
        best = i; least = dx * dx + dy * dy;
      }
    }
    return best;
  };
  const said = (i) => {
    const r = data.row[i], c = data.column[i], total = data.totals[r], count = data.count[i];
    const share = (100 * count / total).toFixed(1);
    const lines = [`${data.said[0]} ${data.rows[r]}, ${data.said[1]} ${data.columns[c]}`];
    if (total) lines.push(`${count.toLocaleString("en")} of ${total.toLocaleString("en")} ${data.counted} (${share} %)`);
    return lines.concat(data.notes[c] || [], data.kinds[data.kind[i]].name || []).join("\n");
  };
  const place = (thing, x, y, w, h) => Object.assign(thing.style, {
    display: "block", left: x + "px", top: canvas.offsetTop + y + "px", width: w + "px", height: h + "px",
  });
  const hide = () => { for (const thing of [tip, across, down]) thing.style.display = "none"; };
  const pointed = (event) => {
    const box = canvas.getBoundingClientRect();
    return nearest(event.clientX - box.left, event.clientY - box.top);
  };
  canvas.onmousemove = (event) => {
    const i = pointed(event);
    canvas.style.cursor = i >= 0 && address ? "pointer" : "default";
    if (i < 0) return hide();
    const x = left + (data.column[i] + 0.5) * width / columns, y = top + (data.row[i] + 0.5) * height / rows;
    place(across, left, y, width, 1); place(down, x, top, 1, height);
    tip.textContent = said(i);
    place(tip, 0, 0, 0, 0);
    tip.style.width = tip.style.height = "auto";
    const beyond = x + 14 + tip.offsetWidth > root.clientWidth;
    tip.style.left = Math.max(0, beyond ? x - 14 - tip.offsetWidth : x + 14) + "px";
    tip.style.top = canvas.offsetTop + Math.max(0, y + 14 + tip.offsetHeight > top + height ? y - 14 - tip.offsetHeight : y + 14) + "px";
  };
  canvas.onmouseleave = hide;
  canvas.onclick = (event) => {
    const i = pointed(event);
    if (i < 0 || !address) return;
    const name = opened === "row" ? data.rows[data.row[i]] : data.columns[data.column[i]];
    const detail = { href: address + encodeURIComponent(name) };
    document.dispatchEvent(new CustomEvent("codescope-open", { detail }));
  };
  const watch = new ResizeObserver(() => draw());  // which calls it at once, before the page is painted
  watch.observe(root);
  return () => watch.disconnect();
}
