"""The front door: which models have a card, what it says and where it leads; what is not built can be built with a click."""

from __future__ import annotations

import html as standard
import json
import re
import time
from urllib.parse import parse_qs, urlsplit

import duckdb
import numpy as np
import pandas as pd
import pytest

from app.draw.tables import Row, records
from app.overview import cards, gallery, samples, views
from app.overview.gallery import badge
from app.shell import builder, building, resources
from app.shell.environment import PROGRESS_VARIABLE
from backend.answers.meaning import FirstLook
from backend.answers.stored import Context, Token
from backend.catalog import models as catalog_models
from backend.explorer import Explorer
from backend.types import CodeRef
from tests.pages.conftest import MODEL
from tests.pages.image_models import CODES, IMAGES, image_dir, prepare_images  # noqa: F401  (a fixture)
from tests.pages.machine_models import CODED, PLAIN, machine_dir  # noqa: F401  (a fixture)

EVIL = '<img src=x onerror="alert(1)"><script>alert(2)</script>'


def model_rows(**columns) -> pd.DataFrame:
    """Rows as `Explorer.models` has them, all alike but for what is given."""
    length = len(next(iter(columns.values())))
    usual = {
        "kind": "text",
        "title": "A model",
        "about": "",
        "dataset": "toy",
        "base": "",
        "checkpoint": True,
        "built": "b",
        "codebooks": 1,
        "codes": 8,
        "activations": 800,
        "dead_fraction": 0.0,
        "demo": 0,
        "own": False,
        "problem": "",
    }
    frame = pd.DataFrame({name: [value] * length for name, value in usual.items()} | columns)
    return frame.assign(capabilities=columns.get("capabilities", [["encode"]] * length))


def measured(**values) -> pd.DataFrame:
    """Figures as `Explorer.metrics` has them."""
    rows = [(name, value, value, value, 256, 3, f"what {name} counts.") for name, value in values.items()]
    return pd.DataFrame(rows, columns=["name", "value", "low", "high", "n", "seeds", "definition"])


LOOK = FirstLook("L0.mlp", 3, "topic = snow", 0.93, 0.5, 381, "label")


# ---- what is in it, and in which order


def test_a_persons_own_models_come_first_then_the_catalogs_in_its_order_and_no_plain_ones():
    models = model_rows(
        model=["a", "b", "planned", "mine", "base", "c", "gone", "bare"],
        demo=[2, 1, 0, 0, 3, 0, 4, 5],
        base=["base", "", "", "", "", "", "", ""],
        own=[False, False, True, True, False, False, False, False],
        built=["x", "", "", "x", "", "x", "", "x"],
        checkpoint=[True, True, True, True, True, True, False, True],
        codebooks=[1, 0, 0, 1, 0, 1, 0, 0],
    )
    assert [row.model for row in gallery.gallery(models)] == ["mine", "planned", "b", "a"]
    assert list(gallery.own_first(models)["model"])[:3] == ["planned", "mine", "a"]


def test_the_shipped_gallery_has_its_first_cards_of_more_than_one_kind_and_a_sentence_on_each(tmp_path):
    specs = catalog_models(tmp_path)
    demos = sorted((spec.demo, spec.name) for spec in specs.values() if spec.demo)
    assert [number for number, _ in demos] == list(range(1, len(demos) + 1))
    assert len({specs[name].kind for _, name in demos[: builder.FIRST_CARDS]}) > 1
    assert all(specs[name].about.endswith(".") and len(specs[name].about) < 140 for _, name in demos)


# ---- how faithful


@pytest.mark.parametrize(
    ("figures", "text"),
    [
        ({"lm_loss_above_base": 0.0112, "transition_accuracy": 0.962}, "96.2 % valid transitions"),
        ({"lm_loss": 1.2, "lm_loss_above_base": -0.0002}, "loss above base +0.000 nats"),
        ({"psnr": 23.71, "utilization_of_ceiling": 0.9987}, "PSNR 23.7 dB, codes used / ceiling 99.9 %"),
        ({"psnr": 23.71, "ssim": 0.7}, "PSNR 23.7 dB"),
        ({"identity_cosine": 0.81}, "identity cosine 0.810"),
    ],
)
def test_the_badge_is_the_figure_that_says_most_with_what_was_counted(figures, text):
    found = badge(measured(**figures))
    assert found.text == text
    assert "what " in found.definition and "(n = 256, 3 seeds)" in found.definition


def test_a_model_of_which_nothing_was_measured_has_no_badge():
    assert badge(measured()) is None


def test_codes_are_counted_against_what_so_many_choices_can_reach():
    large = gallery.use_of({"codes": 102_400, "activations": 64_000, "dead_fraction": 0.624482})
    assert large.used == 38_453 and large.reachable == pytest.approx(102_400 * (1 - np.exp(-64_000 / 102_400)))
    assert large.share == pytest.approx(0.8079, abs=1e-3)
    assert "38,453 of 102,400 codes fire" in large.definition and "64,000 choices" in large.definition
    small = gallery.use_of({"codes": 1000, "activations": 10**6, "dead_fraction": 0.25})
    assert small.share == pytest.approx(0.75)
    assert np.isnan(gallery.use_of({"codes": 0, "activations": 0, "dead_fraction": float("nan")}).share)


# ---- where a card leads


def about(capabilities, **columns) -> Row:
    return records(model_rows(model=["m"], capabilities=[list(capabilities)], **columns))[0]


class Answers:
    """Stands for an explorer of a model with measured edits."""

    def measured_edits(self, model):
        """Two behaviours that were measured, and one that was not."""
        return {"topic=a": ("L0.mlp:1:+0.5",), "topic=b": ("L0.mlp:2:+0.5", "L0.mlp:3"), "topic=c": ("L0.mlp:4",)}

    def metrics(self, model):
        """Their figures."""
        shares = {"a": (0.5, 0.9), "b": (0.04, 0.98)}
        figures = {}
        for value, (before, after) in shares.items():
            figures |= {f"topic_unsteered.{value}": before, f"topic_steered.{value}": after}
        return measured(**figures)


def parameters(invitation) -> tuple[str, dict[str, list[str]]]:
    parts = urlsplit(invitation.address)
    return parts.path, parse_qs(parts.query)


def test_what_a_model_can_do_decides_what_its_card_invites_to():
    page, asked = parameters(views.invitation(Answers(), about({"states", "steer", "generate"}), LOOK))
    assert page == "states" and asked == {"model": ["m"], "view": ["believe"], "run": ["1"]}
    found = views.invitation(Answers(), about({"steer", "generate"}, dataset=["stories"]), LOOK)
    assert found.title == "Steer it to topic = b: 4 % → 98 %"
    page, asked = parameters(found)
    assert page == "steer" and asked["edit"] == ["L0.mlp:2:+0.5", "L0.mlp:3"] and asked["judge"] == ["topic=b"]
    assert asked["temperature"] == ["0.7"] and asked["run"] == ["1"]
    page, asked = parameters(views.invitation(Answers(), about({"encode"}), LOOK))
    assert page == "code" and asked == {"model": ["m"], "site": ["L0.mlp"], "code": ["3"]}


def test_a_model_whose_steering_was_not_measured_invites_to_its_best_code():
    class Unmeasured(Answers):
        def metrics(self, model):
            return measured(lm_loss=1.0)

    assert (
        views.invitation(Unmeasured(), about({"steer", "generate"}), LOOK).title == "Read the code for “topic = snow”"
    )
    nothing = FirstLook("L0.mlp", 3, "", float("nan"), float("nan"), 9, "usage")
    assert views.invitation(Answers(), about({"encode"}), nothing).title == "Read its most used code"


def test_the_thing_in_a_picture_is_found_by_its_cells():
    picture = np.full((32, 32, 3), 20, np.uint8)
    picture[8:20, 4:16] = (200, 180, 0)
    box, loud = views.thing(picture, (8, 8))
    assert box == (2, 1, 5, 4) and loud > 0
    assert views.thing(np.full((32, 32, 3), 9, np.uint8), (8, 8))[1] == 0
    most = np.full((32, 32, 3), 20, np.uint8)
    most[4:28, 4:28] = 250
    assert views.thing(most, (8, 8))[1] == 0


def test_the_invitation_of_an_image_model_is_an_edit_that_can_be_applied(image_dir):  # noqa: F811
    explorer = Explorer(image_dir)
    row = records(explorer.models()[explorer.models()["model"] == IMAGES])[0]
    found = views.invitation(explorer, row, FirstLook("vq", 1, "", 0.0, 0.0, 5, "usage"))
    page, asked = parameters(found)
    assert page == "image_tokens" and asked["model"] == [IMAGES] and asked["item"] != asked["other"]
    from backend.edits.token_maps import Copy, parse

    change = parse(asked["change"][0])
    assert isinstance(change, Copy) and change.picture == f"item.{asked['other'][0]}" and change.box[:2] == change.to


# ---- what a card shows


def test_a_line_of_tokens_is_cut_evenly_around_its_place_and_words_can_wrap():
    words = [Token(f" w{i}", place=i, fires=i == 20) for i in range(40)]
    place = Context(0, 20, 20, words[:20], words[20], words[21:])
    shown = samples.around(place, 21)
    assert [token.text for token in shown] == [" w18", " w19", " w20", " w21", " w22"]
    assert [t.text for t in samples.around(Context(0, 0, 0, [], words[0], words[1:]), 12)] == [
        " w0",
        " w1",
        " w2",
        " w3",
    ]
    line = samples.text_line([Token(" a"), Token(f" {EVIL}", fires=True), Token("\n\u202e")])
    assert "<script" not in line and "<img" not in line and line.startswith(" a <span")
    assert "⏎U+202E" in line


def test_every_string_of_a_card_is_escaped():
    row = about({"encode"}, title=[EVIL], about=[EVIL], own=[True])
    row = Row({**vars(row), "model": EVIL})
    look = FirstLook("L0.mlp", 3, EVIL, 0.5, 0.5, 9, "label")
    ref = CodeRef(EVIL, "L0.mlp", 3)
    bad = gallery.Badge(EVIL, EVIL)
    shown = "".join(
        [
            cards.heading(row, bad),
            cards.what(row),
            cards.claim(look, ref, EVIL),
            cards.actions(EVIL, views.Invitation(EVIL, f"code?model={EVIL}")),
        ]
    )
    assert "<script" not in shown and "<img" not in shown and shown.count("&lt;script") >= 6
    assert "yours" in shown and "50.0 % of its 9 firings, held out" in shown


def test_a_kind_of_items_that_nobody_knows_has_a_card_without_a_sample(image_dir):  # noqa: F811
    row = about({"encode"}, kind=["weights"])
    assert samples.sample(Explorer(image_dir), row, LOOK) == ""


def test_the_sample_of_an_image_model_is_a_picture_beside_its_codes(image_dir):  # noqa: F811
    explorer = Explorer(image_dir)
    row = records(explorer.models()[explorer.models()["model"] == IMAGES])[0]
    most = explorer.codes(IMAGES, "vq").nlargest(1, "count")["code"].iloc[0]
    shown = samples.sample(explorer, row, FirstLook("vq", int(most), "", 0.0, 0.0, 5, "usage"))
    assert shown.count('class="pair"') == samples.PICTURES and shown.count("data:image/png") == 2 * samples.PICTURES
    assert "its 64 codes" in shown
    colours = samples.code_colours(str(image_dir), explorer.build(IMAGES), IMAGES, "vq", explorer)
    live = explorer.codes(IMAGES, "vq")["count"].to_numpy() > 0
    assert colours.shape == (CODES, 3) and len(np.unique(colours[live], axis=0)) > live.sum() / 2


# ---- the page


def test_the_gallery_shows_a_built_model_with_its_best_code_in_its_text(open_page):
    page = open_page("overview")
    explorer = resources.explorer()
    assert f">{MODEL}</a>" in page.html and "each vector is a code" in page.html
    assert f">the codebooks of {MODEL}</a>" in page.html and "model" not in page.test.query_params
    card = page.html.partition('class="sample"')[2].partition('class="actions"')[0]
    assert 'class="t fires"' in card and "held out" in card and "<b>b</b>" not in card
    look = explorer.first_look(MODEL)
    assert f"code?model={MODEL}&amp;site={look.site}&amp;code={look.code}" in card
    assert "Try this: " in page.html and len(page.html) < 60_000


def test_all_models_stand_in_the_tables_with_their_size(open_page):
    page = open_page("overview", view="models")
    explorer = resources.explorer()
    models = explorer.models()
    assert f"{int(models.loc[models['model'] == MODEL, 'positions'].iloc[0]):,}" in page.html
    bases = set(models["base"]) & set(models["model"])
    assert page.html.count("plain: nothing to build") == len(bases) > 0
    assert "Codes used / ceiling" in page.html and "python -m backend build" not in page.html
    labels = [button.label for button in page.test.button]
    assert labels.count("Build") == int((models["built"] == "").sum()) - len(bases)


def test_an_old_address_leads_to_the_figures_of_its_model(open_page):
    page = open_page("overview", model=MODEL)
    assert f"How faithful is {MODEL}?" in page.html and "lm_loss" in page.html and "facts of the build" in page.html
    assert page.test.selectbox(key="w.model").value == MODEL
    assert "<code>lm_loss</code>" in open_page("overview", view="figures").html
    assert "Beside the paper: tokfsm" in open_page("overview", view="paper").html


def test_a_model_that_left_the_catalog_and_has_no_codebooks_has_no_card(open_page, data_dir):
    path = next((data_dir / "builds").glob("*.duckdb"))
    path.rename(path.with_name(path.name.replace(MODEL, "a-plain")))
    with duckdb.connect(str(next((data_dir / "builds").glob("*.duckdb")))) as store:
        store.execute("UPDATE facts SET value = '\"a-plain\"' WHERE key = 'model'")
        for table in ("codebooks", "codes"):
            store.execute(f"DELETE FROM {table}")
    assert "a-plain" not in open_page("overview").html
    assert "a-plain" in open_page("overview", view="models").html


def test_the_overview_keeps_why_a_build_failed_and_offers_to_try_again(open_page, data_dir, tmp_path, monkeypatch):
    progress = tmp_path / "progress.json"
    failed = {"model": "demo", "state": "failed", "share": None, "line": f"No room was left. {EVIL}"}
    progress.write_text(json.dumps([{"model": "other", "state": "done", "share": 1.0, "line": ""}, failed]))
    monkeypatch.setenv(PROGRESS_VARIABLE, str(progress))
    page = open_page("overview")
    assert "No room was left." in page.html and EVIL not in page.html
    page.test.button(key="again-demo").click().run()
    assert builder.asked(data_dir) == ["demo"]
    assert "No room was left." not in page.html and "waiting" in page.html
    with pytest.raises(KeyError):
        page.test.button(key="again-demo")


@pytest.mark.timeout(240)
def test_a_click_builds_a_model_where_no_builder_runs_and_its_card_opens(open_page, data_dir):
    prepare_images(data_dir, codes=(8,))
    page = open_page("overview")
    page.test.button(key=f"build-{IMAGES}").click().run()
    page.check()
    assert building.is_active(building.entry_of(IMAGES)) and "Stop" in [button.label for button in page.test.button]
    try:
        for _ in range(600):
            if not building.is_active(building.entry_of(IMAGES)):
                break
            time.sleep(0.2)
        assert building.entry_of(IMAGES)["state"] == "done", building.entry_of(IMAGES)
        time.sleep(resources.REFRESH_SECONDS)
        page.test.run()
        page.check()
        assert f'codebooks?model={IMAGES}"' in page.html and "the codes of item" in page.html
        with pytest.raises(KeyError):
            page.test.button(key=f"build-{IMAGES}")
    finally:
        building._own.pop(data_dir)[0].stop()


@pytest.mark.parametrize("page_name", ["codebooks", "code", "search"])
def test_a_page_of_a_model_that_is_not_built_offers_to_build_it(open_page, page_name):
    page = open_page(page_name, model="tokfsm-small")
    assert "Nothing to show yet." in page.html
    assert [button.label for button in page.test.button if button.label == "Build"] == ["Build"]
    plain = open_page(page_name, model="tokfsm-base")
    assert "Build" not in [button.label for button in plain.test.button]


def test_a_card_of_a_machine_leads_to_a_state_that_it_is_made_to_believe(machine_dir, monkeypatch):  # noqa: F811
    explorer = Explorer(machine_dir)
    models = explorer.models()
    assert [row.model for row in gallery.gallery(models)][0] == CODED and PLAIN not in [
        r.model for r in gallery.gallery(models)
    ]
    row = records(models[models["model"] == CODED])[0]
    shown = standard.unescape(str(cards.built_card(explorer, row)))
    assert f"states?model={CODED}&view=believe&run=1" in shown and "state" in shown
    tokens = re.findall(r'class="t fires">([^<]+)<', shown)
    look = explorer.first_look(CODED)
    counted = dict(
        explorer.tokens_of(CodeRef(CODED, look.site, look.code), 50)[["token", "count"]].itertuples(index=False)
    )
    assert tokens and set(tokens) <= {token.strip() for token in counted}
