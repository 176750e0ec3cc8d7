"""Compare: figures that belong to the row they stand in, time apart from quality, and code that says what the page says."""

from __future__ import annotations

import dataclasses

import numpy as np
import pandas as pd
import pytest
import streamlit as st

from app.components.wipe import Line, Shown, wipe_data
from app.draw import published
from app.draw.use import use_of_ceiling
from app.images import compare, compare_figures, image_source
from app.shell import resources
from app.shell.environment import DATA_DIR_VARIABLE
from backend import catalog
from backend.explorer import show
from backend.jobs.compare import Compared, picture_table
from backend.jobs.timing import Spread, Timing
from tests.pages.conftest import open_page  # noqa: F401  (a fixture)
from tests.pages.image_models import IMAGES, image_dir  # noqa: F401  (a fixture)

EVIL = '<img src=x onerror="alert(1)">'
QUIET = Timing(Spread(4.0, 3.5, 4.5), Spread(12.25, 12.0, 13.0), 9, 0.25, 2)


@pytest.fixture
def data_dir(image_dir, monkeypatch):  # noqa: F811
    monkeypatch.setenv(DATA_DIR_VARIABLE, str(image_dir))
    st.cache_data.clear()
    st.cache_resource.clear()
    return image_dir


def two() -> list[Compared]:
    pixels = np.zeros((3, 3, 8, 8), np.float32)
    figures = {
        "codes": 9, "used": 3, "reachable": 6.6, "tokens_counted": 12, "utilization": 0.3, "ceiling": 0.7, "perplexity": 2.5,
        "bits_per_pixel": 0.2, "bits_per_pixel_effective": 0.1, "encode_ms": 1.0, "decode_ms": 2.0,
    }  # fmt: skip
    return [
        Compared(
            name,
            {"vq": np.zeros((3, 2, 2), int)},
            pixels,
            {s: np.array(v) for s in ("psnr", "ssim", "feature_distance")},
            figures,
        )
        for name, v in (("a", [20.0, 21.0, 30.0]), (EVIL, [22.0, 20.5, 10.0]))
    ]


def test_pictures_are_ordered_by_what_is_asked_for():
    frame = picture_table(two(), list("xyz"))
    assert compare.order(frame, "disagreement") == [2, 0, 1]
    assert compare.order(frame, "worst") == [2, 0, 1] and compare.order(frame, "given") == [0, 1, 2]


def test_the_table_of_figures_keeps_the_papers_apart_and_runs_no_name():
    paper = {"a": {"source": "their paper", "utilization": 0.999, "rfid": 2.62}}
    text = str(compare_figures.figures_table(two(), paper))
    assert "23.67 ± 5.51" in text and "20.00 to 30.00" in text and "3 of 9" in text
    assert "codes used 99.9 %, rFID 2.62" in text and "their paper" in text
    assert "<img" not in text and "<img" not in str(compare_figures.verdict(two()))
    data = wipe_data(
        [(EVIL, "")], [Line(EVIL, "", [], np.zeros((8, 8, 3), np.uint8), [Shown(np.zeros((8, 8, 3), np.uint8), EVIL)])]
    )
    assert data["columns"][0]["title"] == EVIL and not data["wipes"]  # drawn with textContent


@pytest.mark.parametrize(
    ("paper", "codes", "shown"),
    [
        ({"source": "FVQ, 16,384 codes, 40 epochs", "utilization": 1.0}, 16_384, {"utilization": 1.0}),
        ({"source": "FVQ, 16,384 codes, 40 epochs", "utilization": 1.0}, 1024, {}),
        ({"source": "VQGAN-LC, 1,000 codes", "rfid": 4.98}, 1024, {}),  # near is not the same
        ({"codes": 1024, "source": "a paper", "rfid": 4.98}, 1024, {"rfid": 4.98}),
        ({"codes": 1024, "source": "a paper with 16,384 codes", "rfid": 4.98}, 16_384, {}),
        ({"rfid": 4.98}, 1024, {"rfid": 4.98}),  # says of no other size that it is its own
        ({}, 1024, {}),
    ],
)
def test_a_published_figure_stands_beside_a_table_of_its_own_size_alone(paper, codes, shown):
    assert published.of_size(paper, codes) == shown


def test_no_shipped_tokenizer_shows_a_published_figure_of_another_number_of_codes(tmp_path):
    specs = [spec for spec in catalog.models(tmp_path).values() if spec.kind == "image" and spec.published]
    assert len(specs) >= 10
    shown = set()
    for spec in specs:
        codes = int(spec.name.rsplit("-", 1)[1])
        figures = {**two()[0].figures, "codes": codes}
        row = dataclasses.replace(two()[0], model=spec.name, figures=figures)
        if "rFID" in str(compare_figures.figures_table([row], {spec.name: spec.published})):
            shown.add(spec.name)
            assert f"{codes:,} codes" in spec.published["source"]
    assert shown == {"scenes-vq-16384", "scenes-fvq-16384", "scenes-lc-16384"}


def test_codes_used_are_counted_against_those_that_as_many_choices_can_reach():
    use = use_of_ceiling(890, 102_400, 1024)
    assert use.reachable == pytest.approx(102_400 * (1 - np.exp(-1024 / 102_400)))
    assert use.short == "87.3 % of the ceiling" and use.counts == "890 of 1,019 reachable"
    assert "890 of 102,400 codes" in use.definition and "1,024 choices" in use.definition
    assert use_of_ceiling(1000, 2048, 1024, codebooks=2).reachable == pytest.approx(2048 * (1 - np.exp(-1)))
    assert np.isnan(use_of_ceiling(0, 1024, 0).share) and np.isnan(use_of_ceiling(0, 0, 0).share)


def test_the_verdict_says_by_how_much_and_calls_no_noise_a_difference():
    rng = np.random.default_rng(0)
    scores = [30 + rng.normal(0, 3, 40)]
    scores += [scores[0] - 2 - rng.uniform(0, 1, 40), scores[0] - 0.01 + rng.normal(0, 2, 40)]
    compared = [
        dataclasses.replace(two()[0], model=name, scores={"psnr": score, "ssim": score, "feature_distance": score})
        for name, score in zip(("best", "worse", "as good"), scores, strict=True)
    ]
    text = str(compare_figures.verdict(compared))
    first = max(compared, key=lambda one: one.scores["psnr"].mean()).model
    assert text.startswith(f'<p class="verdict"><b>{first}</b> has the highest PSNR on these 40 pictures')
    gap = max(scores, key=np.mean).mean() - scores[1].mean()
    assert f"{gap:.2f} dB above <b>worse</b> (better on" in text and "not clearly above <b>" in text
    assert "<b>worse</b> 3 of 7" in text and compare_figures.verdict(compared[:1]) == ""


def test_times_stand_apart_with_their_range_and_are_doubted_where_the_machine_was_busy():
    timings = [QUIET, dataclasses.replace(QUIET, encode=Spread(120.0, 110.0, 200.0))]
    text = str(compare_figures.times_table(two(), timings))
    assert "4.00 ms" in text and "3.50 ms to 4.50 ms" in text and "12.2 ms" in text and "120 ms" in text
    assert "<img" not in text and "ms</td>" not in str(compare_figures.figures_table(two(), {}))
    note = compare_figures.times_note(timings, 16, "12:30")
    assert note == (
        "median of 9 warm passes over 16 pictures at once, quickest to slowest; at 12:30, load before it 0.2 on 2 processors"
    )
    assert compare_figures.busy_note(timings) == ""
    assert "Something else was at work" in compare_figures.busy_note([dataclasses.replace(QUIET, load=1.9)])
    assert "differ by more than three times" in compare_figures.busy_note(
        [dataclasses.replace(QUIET, decode=Spread(1.0, 0.5, 1.6))]
    )
    assert "not known" in compare_figures.times_note([dataclasses.replace(QUIET, load=float("nan"))], 1, "12:30")


@pytest.mark.parametrize("view", list(compare.VIEWS))
def test_the_page_compare_shows_the_figures_of_the_command(open_page, view):  # noqa: F811
    page = open_page("compare", tokenizer=IMAGES, n=3, view=view)
    live = resources.explorer().live(IMAGES)
    found = compare.compare([live], np.stack([item.payload for item in live.held_out(0, 3)]))[0].row()
    assert f"{found['psnr']:.2f} ± {found['psnr_std']:.2f}" in page.html
    assert f"of {found['codes']:,}; ceiling" in page.html and "192 tokens" in page.html
    assert "Time per picture" in page.html and "warm passes over 3 pictures at once" in page.html
    assert f"{found['used']:,} of {found['reachable']:,.0f} reachable" in page.html


def test_the_address_of_compare_carries_the_tokenizers_shown_by_default(open_page):  # noqa: F811
    assert open_page("compare", n=3).test.query_params["tokenizer"] == IMAGES


def test_compare_opens_on_the_first_demos_that_are_built():
    models = pd.DataFrame({"model": list("abcd"), "built": ["", "x", "x", "x"], "demo": [1, 0, 9, 8]})
    assert compare.opening(models) == ["d", "c"]
    assert compare.opening(models.assign(built="")) == ["a", "d"]


def test_compare_without_a_picture_offers_two_views_to_look_at_instead(open_page):  # noqa: F811
    page = open_page("compare", tokenizer=IMAGES, source="own")
    assert "No picture is chosen." in page.html and page.html.count(f'href="compare?tokenizer={IMAGES}') == 2


@pytest.mark.parametrize("source", ["item", "test"])
def test_what_python_makes_of_compare_prints_the_figures_of_the_page(data_dir, capsys, source):
    explorer = resources.explorer()
    live = explorer.live(IMAGES)
    shown = [image_source.picture(live, f"{source}.{number}", 32) for number in (2, 3, 4)]
    exec("\n".join(compare.python([IMAGES], shown, 0)), {"explorer": explorer, "show": show})
    printed = capsys.readouterr().out
    row = compare.compare([live], np.stack([one.pixels for one in shown]), timed=False)[0].row()
    assert f"{row['psnr']:.4g}" in printed and f"{row['reachable']:.4g}" in printed and "encode_ms" not in printed


def test_what_python_makes_of_a_persons_own_pictures_names_their_files_and_size():
    own = image_source.Picture("own.0123", "it's me.png", np.zeros((3, 64, 64), np.float32))
    lines = "\n".join(compare.python(["a", "b"], [own], 0))
    compile(lines, "copied", "exec")
    assert """files = ["it's me.png"]""" in lines and "read_picture(Path(file)), 64)" in lines
