"""What have people called the codes, which do they keep together, and what did they note?"""

import json

import streamlit as st

from app.lists import author, said, withdrawing
from app.shell import address, examples, foot, resources, session, widgets
from backend.errors import BadInput

MAX_IMPORT = 10 << 20  # bytes

explorer = resources.explorer()
people = explorer.people
labels, lists, notes = people.labels(), people.lists(), people.notes()
with widgets.titled("Lists", "What people call the codes, which they keep together, and what they noted."):
    author.author_field()

names = [each.name for each in lists]
asked = address.text("list", limit=200)
chosen = asked if asked in names else next(iter(names), "")
current = lists[names.index(chosen)] if chosen else None
withdrawing.ask(people, labels, notes, current)
widgets.section("Lists", f"{len(lists)} · a code is added to a list on its own page")
if asked and asked not in names:
    widgets.empty("That list does not exist (any more).", "Choose one of those that are here.")
if current is None:
    widgets.empty(
        "No lists yet.",
        "Open a code and add it to a new list; it appears here for everyone who uses this data directory.",
        examples.codes(explorer),
    )
else:
    left, right = st.columns([4, 1], vertical_alignment="bottom")
    left.selectbox("List", names, label_visibility="collapsed", **address.bound("list", chosen))
    widgets.draw(said.list_table(current, labels, said.counts(explorer, current.refs)))
    with right.popover("Delete list", width="stretch"):
        st.write("The list goes; labels and notes of its codes stay.")
        if st.button("Delete it", type="primary"):
            people.remove_list(chosen)
            address.write(list=None)
            st.rerun()

first, second = st.columns([3, 2], gap="medium")
with first:
    widgets.section(
        "Labels",
        f"{len(labels)}, newest first · precision and recall on held-out items, where the label names a pattern",
    )
    if labels:
        widgets.draw(said.label_table(labels[:300], chosen))
    else:
        widgets.empty(
            "No labels yet.",
            "A label is a short claim about a code, given on the code's page and tested on held-out items.",
        )
with second:
    widgets.section("Notes", f"{len(notes)}, newest first")
    if notes:
        widgets.draw(said.note_list(notes[:200], chosen))
    else:
        widgets.empty("No notes yet.", "Notes are longer texts about a code, written on the code's page.")

widgets.section(
    "Take along and bring in",
    "everything above as one JSON file; bringing in adds what is missing and overwrites nothing",
)
first, second = st.columns(2, gap="medium")
with first:
    st.download_button(
        "Export labels, lists and notes",
        lambda: json.dumps(people.export(), ensure_ascii=False, indent=1),
        "codescope-people.json",
        "application/json",
        on_click="ignore",
    )
with second:
    upload = st.file_uploader("Import an export", type="json", max_upload_size=10)
    if upload is not None and st.button("Add what is missing"):
        if upload.size > MAX_IMPORT:
            raise BadInput(f"The file has {upload.size:,} bytes; at most {MAX_IMPORT:,} are read. Split it.")
        try:
            document = json.loads(upload.getvalue().decode("utf-8"))
        except ValueError as error:
            raise BadInput(f"The file is not JSON: {error}. Give a file that this page exported.") from error
        session.note("import", said.report(people.merge(document)))
        st.rerun()
    if report := session.note("import"):
        st.success(report)
again = ["people = explorer.people", "show(people.lists())", "show(people.labels())", "show(people.notes())"]
foot.offer(said.tables(labels, notes, lists), again)
