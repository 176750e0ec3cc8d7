"""An empty search offers two examples of the chosen model's own, and each leads to something."""

from __future__ import annotations

import re
from urllib.parse import parse_qs

import pytest
import streamlit as st

from app.shell.environment import DATA_DIR_VARIABLE
from backend.explorer import Explorer
from tests.pages.conftest import open_page  # noqa: F401  (a fixture)
from tests.pages.image_models import IMAGES, image_dir  # noqa: F401  (a fixture)
from tests.pages.machine_models import CODED, machine_dir  # noqa: F401  (a fixture)
from tests.pages.story_models import STORIES, story_dir  # noqa: F401  (a fixture)


@pytest.fixture
def use(monkeypatch):
    """Lets the pages look at a data directory."""

    def look_at(folder):
        monkeypatch.setenv(DATA_DIR_VARIABLE, str(folder))
        st.cache_data.clear()
        st.cache_resource.clear()
        return Explorer(folder)

    return look_at


def addresses(shown):
    """The parameters of every example."""
    return [
        {name: values[0] for name, values in parse_qs(href.replace("&amp;", "&")).items()}
        for href in re.findall(r'href="search\?([^"]*)"', str(shown))
    ]


ASKED = {"codes": "query", "pattern": "pattern field", "covered": "code"}  # mode -> what an example asks for


@pytest.mark.parametrize(("folder", "model"), [("story_dir", STORIES), ("machine_dir", CODED), ("image_dir", IMAGES)])
def test_an_empty_search_offers_examples_that_find_something(request, use, open_page, folder, model):  # noqa: F811
    use(request.getfixturevalue(folder))
    for mode, names in ASKED.items():
        if mode == "covered" and model == IMAGES:
            continue  # pictures have no such view
        page = open_page("search", model=model, mode=mode)
        offered = [found for found in addresses(page.html) if set(found) & set(names.split())]
        assert "For example" in page.html and len(offered) == 2, (mode, offered)
        for address in offered:
            shown = open_page("search", **address)
            assert 'class="problem"' not in shown.html and "For example" not in shown.html
            assert (
                "Nowhere." not in shown.html
                and "None." not in shown.html
                and "<tbody>" in shown.html
                or mode == "covered"
            )


def test_a_concept_leads_to_steering_with_its_code(use, open_page, story_dir):  # noqa: F811
    explorer = use(story_dir)
    page = open_page("concepts", model=STORIES, field="gender", support=5)
    found = explorer.concepts(STORIES, field="gender", min_support=5)
    for row in found.itertuples():
        link = f"steer?model={STORIES}&amp;edit={row.site}:{row.code}&amp;judge=gender%3D{row.value}"
        assert link in page.html
    other = open_page("concepts", model=STORIES, field="pos")
    assert "steer?" in other.html and "judge=" not in other.html, "nobody can judge new text for its nouns"


def test_the_edit_of_a_concept_fits_the_number_of_slots(use, story_dir, monkeypatch):  # noqa: F811
    from app.steer import edit_list, measured

    explorer = use(story_dir)
    steer = measured.from_concepts(explorer, explorer.models(), STORIES)
    ref = explorer.concepts(STORIES)["ref"].iloc[0]
    assert f"edit={ref.site}:{ref.code}&" in steer(ref, "gender", "female"), "few slots: the code is forced"
    monkeypatch.setattr(edit_list, "MANY_SLOTS", 1)
    assert f"edit={ref.site}:{ref.code}:%2B0.1&" in steer(ref, "gender", "female"), "many: it is added"


def test_concepts_of_pictures_offer_no_steering(use, open_page, image_dir):  # noqa: F811
    use(image_dir)
    assert "steer?" not in open_page("concepts", model=IMAGES).html.split("<tbody>")[1]
