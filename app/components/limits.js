// A text area whose label says "at most N characters" takes the first N of a longer text and says so at once.
export default function () {
  const most = (area) => {
    const said = area.tagName === "TEXTAREA" && /at most ([\d,]+) characters/.exec(area.getAttribute("aria-label"));
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
    const text = (event.clipboardData?.getData("text/plain") ?? "").replace(/\r\n?/g, "\n");
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
  document.addEventListener("paste", pasted, true);
  document.addEventListener("input", written, true);
  return () => {
    document.removeEventListener("paste", pasted, true);
    document.removeEventListener("input", written, true);
  };
}
