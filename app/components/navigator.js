// Links, keys, and the sheet that lists them. See navigator.py.
export default function (component) {
  const { data } = component;
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
  const element = (kind, text, into) => into.appendChild(Object.assign(document.createElement(kind), { textContent: text }));
  const list = (title, pairs, mark, into) => {
    const part = into.appendChild(document.createElement("section"));
    element("h2", title, part);
    const lines = part.appendChild(document.createElement("dl"));
    for (const [name, meaning] of pairs) {
      element(mark, name, lines.appendChild(document.createElement("dt")));
      element("dd", meaning, lines);
    }
  };
  const openSheet = () => {
    document.querySelector("dialog.cs-sheet")?.remove();
    const sheet = Object.assign(document.createElement("dialog"), { className: "cs-sheet" });
    sheet.setAttribute("aria-label", "Keys and words");
    const close = element("button", "Close", sheet);
    close.addEventListener("click", () => sheet.close());
    list("Keys", data.keys, "kbd", sheet);
    list("Words", data.words, "b", sheet);
    sheet.addEventListener("click", (event) => { if (event.target === sheet) sheet.close(); });  // beside the sheet
    sheet.addEventListener("close", () => sheet.remove());
    document.querySelector(".stApp").appendChild(sheet);  // inside it, because it holds the colours of the theme
    sheet.showModal();
  };
  const pressed = (event) => {
    const at = event.composedPath()[0];
    const typing = at && at.tagName && (/^(INPUT|TEXTAREA|SELECT)$/.test(at.tagName) || at.isContentEditable);
    if (typing || event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]")) return;
    if (event.key === "/" || event.key === "?") {
      event.preventDefault();
      if (event.key === "?") openSheet();
      else document.dispatchEvent(new CustomEvent("codescope-find"));
      return;
    }
    if (!/^[a-z]$/.test(event.key)) return;
    const link = document.querySelector('a[data-key="' + event.key + '"]');
    if (link) { event.preventDefault(); follow(link.href); }
  };
  const opened = (event) => { const href = event.detail && event.detail.href; if (href) follow(href); };
  const asked = (event) => { if (event.target.closest?.("[data-sheet]")) openSheet(); };
  document.addEventListener("click", clicked, true);
  document.addEventListener("click", asked);
  document.addEventListener("keydown", pressed, true);
  document.addEventListener("codescope-open", opened);
  document.documentElement.dataset.codescope = "ready";  // for tests: keys are heard from now on
  return () => {
    document.removeEventListener("click", clicked, true);
    document.removeEventListener("click", asked);
    document.removeEventListener("keydown", pressed, true);
    document.removeEventListener("codescope-open", opened);
  };
}
