"""Lists: what is taken back is taken back in its own row and after being asked once more; a name is asked for once."""

from __future__ import annotations

from app.lists import author
from backend.explorer import Explorer
from backend.types import CodeRef
from tests.pages.conftest import MODEL, data_dir, open_page  # noqa: F401  (fixtures)

REF, OTHER = CodeRef(MODEL, "L0.mlp", 11), CodeRef(MODEL, "L0.mlp", 4)
NAME = "Your name, asked once: it signs what you add"


def buttons(page):
    return {button.label: button for button in page.test.button}


def test_a_code_is_taken_out_of_its_list_in_its_row_and_can_be_kept(open_page, data_dir):  # noqa: F811
    people = Explorer(data_dir).people
    for ref in (REF, OTHER):
        people.add_to_list("mine", ref)
    page = open_page("lists", list="mine")
    assert page.html.count("take out") == 2 and "Take it out" not in buttons(page)
    address = {"list": "mine", "out": str(REF)}
    page = open_page("lists", **address)
    assert str(REF.code) in page.html and len(people.lists()[0].refs) == 2, "the link alone takes nothing out"
    buttons(page)["Keep it"].click().run()
    assert len(people.lists()[0].refs) == 2 and "out" not in page.check().test.query_params
    page = open_page("lists", **address)
    buttons(page)["Take it out"].click().run()
    assert people.lists()[0].refs == (OTHER,) and "out" not in page.check().test.query_params


def test_a_label_that_is_kept_after_all_stays(open_page, data_dir):  # noqa: F811
    people = Explorer(data_dir).people
    label = people.add_label(REF, "<b>mine</b>", "Ada")
    page = open_page("lists", withdraw=label.uid)
    assert "Withdraw the label" in buttons(page) and "<b>mine" not in page.html and "cannot be had back" in page.html
    buttons(page)["Keep it"].click().run()
    assert people.labels() == [label] and "withdraw" not in page.check().test.query_params


def test_what_was_withdrawn_by_somebody_else_is_said(open_page):  # noqa: F811
    for address in ({"withdraw": "nothing"}, {"out": "no/such/code"}, {"withdraw": "<script>"}):
        page = open_page("lists", **address)
        assert "not here (any more)" in page.html and "<script" not in page.html


def test_a_name_is_asked_for_once_and_signs_everything_after_that(open_page, data_dir):  # noqa: F811
    page = open_page("code", model=MODEL, site="L0.mlp", code=11)
    [field] = [t for t in page.test.text_input if t.label == NAME]
    field.set_value("Ada").run()
    assert "You sign as <b>Ada</b>" in page.check().html
    assert not [t for t in page.test.text_input if t.label == NAME], "a known name is not asked for again"
    [t for t in page.test.text_input if t.label == "Label"][0].set_value("a claim")
    buttons(page)["Add label"].click().run()
    page.check()
    assert [label.author for label in Explorer(data_dir).people.labels()] == ["Ada"]
    assert "You sign as <b>Ada</b>" in page.html, "and is still known after the next run"


def test_a_known_name_can_be_changed_on_the_page_of_lists(open_page):  # noqa: F811
    page = open_page("lists")
    [t for t in page.test.text_input if t.label == NAME][0].set_value("Ada").run()
    [t for t in page.check().test.text_input if t.label == "Your name"][0].set_value("Eve").run()
    assert "Eve" in page.check().html and author.author_field.__doc__
