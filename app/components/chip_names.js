// Writes names into chips that were drawn before their names were known. See chip_names.py.
const REST = 300, AGAIN = 1500;  // milliseconds without a click or key before the server is asked; after one
export default function (component) {
  const { data, setTriggerValue } = component;
  for (const [code, name] of Object.entries(data.names)) {
    for (const chip of document.querySelectorAll(`a.chip[data-code="${CSS.escape(code)}"]`)) {
      if (chip.querySelector(".name")) continue;
      const made = Object.assign(document.createElement("span"), { className: "name spoken", textContent: name });
      chip.querySelector(".id").after(made);
      chip.title += ` · ${name}`;
    }
  }
  document.dispatchEvent(new CustomEvent("codescope-names", { detail: data.codebooks }));
  if (!data.waiting) return;
  // Never while somebody clicks: the server would take a click and this question for one, and forget where the click leads.
  let timer = setTimeout(() => setTriggerValue("asked", true), REST);
  const later = () => {
    clearTimeout(timer);
    timer = setTimeout(() => setTriggerValue("asked", true), AGAIN);
  };
  const events = ["pointerdown", "keydown", "popstate"];
  for (const name of events) window.addEventListener(name, later, true);
  return () => {
    clearTimeout(timer);
    for (const name of events) window.removeEventListener(name, later, true);
  };
}
