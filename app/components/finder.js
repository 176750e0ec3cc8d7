// The search box of the header. See finder.py.
const PAUSE = 200;  // milliseconds without a key after which is looked up what has been written
const AGAIN = 700;  // milliseconds after which is asked again while models are still being looked into
export default function (component) {
  const { data, parentElement, setStateValue } = component;
  const make = (kind, css, text, into) => {
    const made = Object.assign(document.createElement(kind), { className: css, textContent: text });
    return into.appendChild(made);
  };
  let box = parentElement.querySelector(".box");
  if (!box) {
    box = make("div", "box", "", parentElement);
    const input = make("input", "", "", box);
    Object.assign(input, { type: "text", placeholder: "Search labels, codes, models ...", maxLength: data.most, spellcheck: false });
    for (const [name, value] of Object.entries({
      role: "combobox", "aria-label": "Search everything", "aria-controls": "found", "aria-expanded": "false",
      "aria-autocomplete": "list", autocomplete: "off",
    })) input.setAttribute(name, value);
    make("kbd", "", "/", box);
    const list = make("ul", "", "", box);
    list.id = "found"; list.hidden = true;
    list.setAttribute("role", "listbox"); list.setAttribute("aria-label", "Found");
  }
  const input = box.querySelector("input"), list = box.querySelector("ul");
  const lines = () => [...list.querySelectorAll("li[role=option]")];
  const show = (open) => { list.hidden = !open; input.setAttribute("aria-expanded", String(open)); };
  const choose = (number) => lines().forEach((line, i) => {
    line.setAttribute("aria-selected", String(i === number));
    if (i !== number) return;
    input.setAttribute("aria-activedescendant", line.id);
    line.scrollIntoView({ block: "nearest" });
  });
  const open = (hit) => {
    show(false);
    input.blur();
    document.dispatchEvent(new CustomEvent("codescope-open", { detail: { href: hit.href } }));
  };
  const answered = () => data.text === input.value.trim();
  const draw = () => {
    list.replaceChildren();
    if (!answered()) make("li", "none", "Searching ...", list);
    else if (!data.hits.length && !data.waiting) make("li", "none", "Nothing has that name.", list);
    else data.hits.forEach((hit, i) => {
      const line = make("li", "", "", list);
      line.id = `found-${i}`;
      line.setAttribute("role", "option");
      make("span", "kind", hit.kind, line);
      make("span", "title", hit.title, line);
      if (hit.detail) make("span", "detail", hit.detail, line);
      line.onmousedown = (event) => { event.preventDefault(); open(hit); };
      line.onmousemove = () => choose(i);
    });
    if (answered() && data.waiting) make("li", "none", `Still looking into other models: ${data.waiting} to go ...`, list);
    choose(0);
    show(Boolean(input.value.trim()) && box.contains(input.getRootNode().activeElement));
  };
  const send = () => {
    clearTimeout(box.timer);
    setStateValue("written", input.value.trim());
  };
  input.oninput = () => { draw(); clearTimeout(box.timer); box.timer = setTimeout(send, PAUSE); };
  input.onfocus = draw;
  input.onblur = () => show(false);
  input.onkeydown = (event) => {
    const now = lines().findIndex((line) => line.getAttribute("aria-selected") === "true"), count = lines().length;
    if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      event.preventDefault();
      if (count) choose((now + (event.key === "ArrowDown" ? 1 : count - 1)) % count);
    } else if (event.key === "Enter") {
      box.opens = !answered();  // as soon as the answer is there
      if (!answered()) send(); else if (count) open(data.hits[Math.max(0, now)]);
    } else if (event.key === "Escape") { show(false); input.blur(); }
  };
  draw();
  clearInterval(box.again);  // an interval, as an answer that has not changed does not come here
  if (data.waiting && answered()) box.again = setInterval(() => setStateValue("again", Date.now()), AGAIN);
  if (box.opens && answered() && !data.waiting) {
    box.opens = false;
    if (data.hits.length) open(data.hits[0]);
  }
  const called = () => { input.focus(); input.select(); };
  document.addEventListener("codescope-find", called);
  return () => {
    clearInterval(box.again);
    document.removeEventListener("codescope-find", called);
  };
}
