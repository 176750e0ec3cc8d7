"""Labels, lists and notes: nothing lost under contention, nothing overwritten by an import."""

from __future__ import annotations

import json
import multiprocessing
import sqlite3
from pathlib import Path

import pytest

from backend.errors import BadInput, StoreError
from backend.store.limits import LIMITS
from backend.store.people import People
from backend.types import CodeRef

REF = CodeRef("toy-1.5", "L1.attn/h0", 7)
OTHER = CodeRef("toy-1.5", "L0.mlp", 3)


@pytest.fixture
def people(tmp_path: Path) -> People:
    return People(tmp_path / "people.sqlite")


def _write(path: Path, author: str, times: int) -> None:
    people = People(path)
    for number in range(times):
        people.add_label(REF, f"{author} {number}", author)
        people.add_note(REF, f"{author} {number}", author)
        people.add_to_list("shared", CodeRef("m", author, number), author)


def test_reading_where_nobody_has_written_finds_nothing_and_makes_no_file(people: People) -> None:
    assert (people.labels(), people.notes(), people.lists(), people.label(REF)) == ([], [], [], "")
    assert not people.path.exists()


def test_a_label_keeps_everything_it_was_given_with(people: People) -> None:
    given = people.add_label(
        REF, " <b>der</b> \u0000🙂", "Ann", build="B", pattern=" d(er)", precision=0.5, recall=0.25, support=9
    )
    assert people.labels(REF) == [given]
    assert given.text == "<b>der</b> \u0000🙂" and given.pattern == " d(er)" and given.support == 9
    people.add_label(REF, "newer", "Bob")
    assert people.label(REF) == "newer"
    assert people.newest_labels("toy-1.5") == {REF: "newer"}
    assert people.labels(OTHER) == [] and people.labels(model="other") == []
    assert people.remove_label(given.uid) and not people.remove_label(given.uid)


def test_notes_stand_beside_each_other(people: People) -> None:
    people.add_note(REF, "  # Raw *markdown* <script>\n", "Ann")
    people.add_note(REF, "second", "Bob")
    assert [note.text for note in people.notes(REF)] == ["second", "  # Raw *markdown* <script>\n"]
    assert people.remove_note(people.notes(REF)[0].uid)
    assert len(people.notes(model="toy-1.5")) == 1


def test_a_list_keeps_its_order(people: People) -> None:
    refs = [CodeRef("m", "s", n) for n in range(4)]
    assert all(people.add_to_list("mine", ref, "Ann") for ref in refs)
    assert not people.add_to_list("mine", refs[0], "Bob"), "it is in it already"
    people.move_in_list("mine", refs[3], 0)
    people.remove_from_list("mine", refs[1])
    assert people.lists()[0].refs == (refs[3], refs[0], refs[2])
    assert [one.name for one in people.lists(refs[0])] == ["mine"] and people.lists(refs[1]) == []
    with pytest.raises(BadInput, match="not in the list"):
        people.move_in_list("mine", refs[1], 0)
    assert people.remove_list("mine") and people.lists() == []


@pytest.mark.parametrize(("what", "limit"), [("label", 200), ("note", 20_000), ("list", 100), ("author", 80)])
def test_texts_beyond_the_limit_are_refused_with_the_limit(people: People, what: str, limit: int) -> None:
    assert LIMITS[what] == limit
    write = {
        "label": lambda text: people.add_label(REF, text),
        "note": lambda text: people.add_note(REF, text),
        "list": lambda text: people.add_to_list(text, REF),
        "author": lambda text: people.add_label(REF, "x", text),
    }[what]
    write("é" * limit)
    with pytest.raises(BadInput, match=f"{limit:,}"):
        write("é" * (limit + 1))
    if what != "author":
        with pytest.raises(BadInput, match="empty"):
            write("  \n ")
    with pytest.raises(BadInput, match="surrogate"):
        write("\ud800")


def test_six_processes_at_once_lose_nothing(people: People) -> None:
    context = multiprocessing.get_context("fork")
    workers = [context.Process(target=_write, args=(people.path, f"p{n}", 15)) for n in range(6)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert [worker.exitcode for worker in workers] == [0] * 6
    expected = {f"p{n} {i}" for n in range(6) for i in range(15)}
    assert {label.text for label in people.labels(REF)} == expected
    assert {note.text for note in people.notes(REF)} == expected
    (shared,) = people.lists()
    assert len(shared.refs) == 90
    for n in range(6):  # each writer's codes stand in the order in which they were added
        assert [ref.code for ref in shared.refs if ref.site == f"p{n}"] == list(range(15))


def test_an_export_read_into_an_empty_file_gives_the_same(people: People, tmp_path: Path) -> None:
    _write(people.path, "Ann", 3)
    document = json.loads(json.dumps(people.export()))
    other = People(tmp_path / "other" / "people.sqlite")
    report = other.merge(document)
    assert (report.labels, report.notes, report.listed, report.known, report.conflicts) == (3, 3, 3, 0, ())
    assert other.export() == people.export()
    again = other.merge(document)
    assert (again.labels, again.notes, again.listed, again.known) == (0, 0, 0, 9)


def test_an_import_never_overwrites(people: People) -> None:
    kept = people.add_label(REF, "mine", "Ann")
    people.add_to_list("shared", REF)
    document = people.export()
    document["labels"][0]["text"] = "theirs"
    document["lists"][0]["refs"] = [str(OTHER), str(REF)]
    report = people.merge(document)
    assert people.labels() == [kept]
    assert len(report.conflicts) == 1 and "mine" in report.conflicts[0]
    assert people.lists()[0].refs == (REF, OTHER)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda d: d.update(format="other"),
        lambda d: d.update(labels="x"),
        lambda d: d["labels"].append({"uid": "1"}),
        lambda d: d["labels"][0].update(ref="../x"),
        lambda d: d["labels"][0].update(text="x" * 201),
        lambda d: d["labels"][0].update(text=None),
        lambda d: d["labels"][0].update(precision="high"),
        lambda d: d["labels"][0].update(created="yesterday"),
        lambda d: d["labels"][0].update(extra=1),
        lambda d: d["labels"][0].update(uid=["x"]),
        lambda d: d["lists"][0].update(refs=["x"]),
        lambda d: d["notes"].append(None),
    ],
)
def test_a_document_with_a_mistake_is_refused_as_a_whole(people: People, tmp_path: Path, spoil) -> None:  # type: ignore[no-untyped-def]
    people.add_label(REF, "fine", "Ann")
    people.add_to_list("shared", REF)
    document = people.export()
    document["notes"] = []
    spoil(document)
    other = People(tmp_path / "other.sqlite")
    with pytest.raises(BadInput):
        other.merge(document)
    assert other.labels() == [] and other.lists() == []


def test_a_damaged_file_is_explained(people: People) -> None:
    people.path.write_bytes(b"no database" * 1000)
    for use in (lambda: people.labels(), lambda: people.add_label(REF, "x")):
        with pytest.raises(StoreError, match="move it away"):
            use()


def test_a_writer_that_never_ends_is_explained(people: People, monkeypatch: pytest.MonkeyPatch) -> None:
    people.add_label(REF, "x")
    monkeypatch.setattr("backend.store.people.WAIT_SECONDS", 0.1)
    blocker = sqlite3.connect(people.path, isolation_level=None)
    blocker.execute("BEGIN IMMEDIATE")
    try:
        assert people.label(REF) == "x", "readers do not wait for writers"
        with pytest.raises(StoreError, match="try again"):
            people.add_label(REF, "y")
    finally:
        blocker.close()
