"""Scenes: what is said of them is what is drawn."""

import numpy as np
import pytest

from backend.data.images.cells import cell_of_pixel, counts, pixel_labels, positions
from backend.data.images.colors import COLORS, name_colors, paint
from backend.data.scenes.drawing import draw
from backend.data.scenes.glyphs import GLYPHS, glyph_distance
from backend.data.scenes.plans import BACKGROUNDS, FILLS, SHAPES, plan
from backend.data.scenes.scenes import Scenes
from backend.errors import BadInput


@pytest.mark.parametrize("size", [16, 32, 64])
def test_an_image_is_the_same_whatever_range_it_is_asked_in_and_differs_by_seed_and_index(size):
    scenes = Scenes(size)
    together = scenes.pixels(0, 140, seed=3)
    assert together.shape == (140, 3, size, size) and together.dtype == np.float32
    assert together.min() >= -1 and together.max() <= 1
    for index in (0, 7, 127, 128, 139):
        assert np.array_equal(scenes.pixels(index, index + 1, seed=3)[0], together[index])
        item = scenes.items(index, index + 1, 3, (4, 4))[0]
        assert item.index == index and np.array_equal(item.payload, together[index])
    assert len(np.unique(together.reshape(140, -1), axis=0)) == 140
    assert not np.array_equal(scenes.pixels(0, 1, seed=4)[0], together[0])
    assert scenes.pixels(5, 5, seed=0).shape == (0, 3, size, size) and scenes.items(5, 5, 0, (2, 2)) == []


def test_the_same_scene_at_another_size_is_the_same_picture():
    large, small = Scenes(64).pixels(0, 32, seed=1), Scenes(32).pixels(0, 32, seed=1)
    halved = large.reshape(32, 3, 32, 2, 32, 2).mean((3, 5))
    assert np.abs(halved - small).mean() < 0.04
    unlike = np.abs(halved - np.roll(small, 1, axis=0)).mean()
    assert unlike > 0.3


def test_every_kind_of_everything_occurs_about_as_often_as_it_should():
    plans = plan(0, 4000, seed=0)
    for numbers, names, expected in (
        (plans.shape[:, 0], SHAPES, [0.1] * 10),
        (plans.fill[:, 0], FILLS, [0.4, 0.2, 0.2, 0.2]),
        (plans.background, BACKGROUNDS, [0.31, 0.23, 0.16, 0.3]),
        (plans.objects - 1, "1234", [0.35, 0.3, 0.2, 0.15]),
        (plans.glyph[:, 0], GLYPHS, [1 / 36] * 36),
    ):
        assert np.abs(np.bincount(numbers, minlength=len(names)) / 4000 - expected).max() < 0.03
    assert set(plans.color[:, 0]) == set(range(len(COLORS)))
    assert (plans.color[:, :, None] != plans.background_color[:, None, :]).all()
    assert (plans.radius[:, :1] >= plans.radius[:, 1:]).all()


def test_labels_agree_with_a_count_of_the_pixels_one_by_one():
    size, grid = 24, (5, 7)
    drawn, plans = draw(plan(0, 6, seed=2), size), plan(0, 6, seed=2)
    for image, item in enumerate(Scenes(size).items(0, 6, 2, grid)):
        assert item.shape == grid and all(len(values) == 35 for values in item.labels.values())
        assert set(item.labels) == set(Scenes.fields)
        for cell in range(35):
            owners = [
                int(drawn.owner[image, y, x])
                for y in range(size)
                for x in range(size)
                if (y * 5 // size) * 7 + x * 7 // size == cell
            ]
            shares = {owner: owners.count(owner) for owner in sorted(set(owners))}
            best = max(shares, key=lambda owner: shares[owner])
            expected = "background" if best < 0 else SHAPES[plans.shape[image, best]]
            assert item.labels["object"][cell] == expected
            assert (item.labels["background"][cell] == "") == (best >= 0)
            assert (item.labels["main"][cell] == "main") == (best == 0)
            mixed = len(owners) - shares[best] >= 0.1 * len(owners)
            assert (item.labels["edge"][cell] == "edge") == mixed


def test_cells_that_a_plain_object_fills_show_the_colour_they_are_labelled_with():
    right = total = 0
    for item in Scenes(32).items(0, 300, 5, (8, 8)):
        if item.tags["lighting"] != "flat":
            continue
        for cell in range(64):
            labels = {field: values[cell] for field, values in item.labels.items()}
            if labels["texture"] == "plain" and not labels["edge"] and labels["main"]:
                total += 1
                right += labels["color"] == labels["shown color"] == item.tags["color"]
    assert total > 50 and right / total > 0.97


def test_tags_name_what_the_main_object_is():
    items = Scenes(32).items(0, 200, 9, (4, 4))
    for item in items:
        assert item.tags["class"] in Scenes.classes and item.tags["color"] in COLORS
        assert (item.tags["glyph"] != "") == (item.tags["class"] == "glyph")
    seen = sum(item.tags["class"] in item.labels["object"] for item in items)
    assert seen > 180


def test_a_disc_covers_its_area_and_light_comes_from_where_the_tag_says():
    plans = plan(0, 256, seed=1)
    drawn = draw(plans, 48)
    discs = np.flatnonzero((plans.shape[:, 0] == 0) & (np.abs(plans.x[:, 0]) + plans.radius[:, 0] < 1))
    discs = discs[np.abs(plans.y[discs, 0]) + plans.radius[discs, 0] < 1]
    assert len(discs) > 5
    area = (drawn.owner[discs] == 0).mean((1, 2)) * 4
    assert np.allclose(area, np.pi * plans.radius[discs, 0] ** 2, rtol=0.03)
    axis = (np.arange(48) * 2 + 1) / 48 - 1
    for image in discs[(plans.shade[discs] > 0.3) & (plans.fill[discs, 0] == 0)]:
        inside = drawn.owner[image] == 0
        towards = np.cos(plans.light[image]) * (axis[None] - plans.x[image, 0])
        towards = towards + np.sin(plans.light[image]) * (axis[:, None] - plans.y[image, 0])
        grey = drawn.pixels[image].mean(0)
        assert grey[inside & (towards > 0)].mean() > grey[inside & (towards < 0)].mean()


def test_what_is_painted_in_a_family_is_called_by_its_name():
    family = np.repeat(np.arange(len(COLORS)), 500)
    rgb = paint(family, np.random.default_rng(0).random((len(family), 3)))
    assert rgb.min() >= 0 and rgb.max() <= 1
    assert (name_colors(rgb) == np.array(COLORS, dtype=object)[family]).mean() == 1


def test_glyphs_are_all_different_and_stay_in_their_box():
    axis = np.linspace(-1.3, 1.3, 40, dtype=np.float32)
    u, v = np.broadcast_to(axis[None, None], (36, 40, 40)), np.broadcast_to(axis[None, :, None], (36, 40, 40))
    inside = glyph_distance(u, v, np.arange(36)) < 0
    assert len(np.unique(inside.reshape(36, -1), axis=0)) == 36
    assert not inside[(np.abs(u) > 0.85) | (np.abs(v) > 1.18)].any() and (inside.sum((1, 2)) > 60).all()


def test_stripes_have_the_orientation_that_is_drawn():
    axis = np.arange(32)
    pictures = {
        "|": np.broadcast_to(axis[None] // 4 % 2, (32, 32)),
        "-": np.broadcast_to(axis[:, None] // 4 % 2, (32, 32)),
        "/": (axis[None] + axis[:, None]) // 4 % 2,
        "\\": (axis[None] - axis[:, None]) // 4 % 2,
    }
    for name, picture in pictures.items():
        pixels = np.broadcast_to(picture * 255, (1, 3, 32, 32)).astype(np.uint8)
        assert set(pixel_labels(pixels, (2, 2))[0]["orientation"]) == {name}
    plain = pixel_labels(np.zeros((1, 3, 32, 32), np.uint8), (2, 2))[0]
    assert (
        set(plain["orientation"]) == {""}
        and set(plain["brightness"]) == {"dark"}
        and set(plain["detail"]) == {"smooth"}
    )


def test_cells_are_counted_for_grids_that_do_not_divide_the_image():
    owner = np.arange(100).reshape(1, 10, 10) % 3
    found = counts(owner, 3, (3, 4))
    assert found.shape == (1, 12, 3) and found.sum() == 100
    assert np.array_equal(found.sum(-1)[0], np.bincount(cell_of_pixel(10, (3, 4)).ravel()))
    assert positions((3, 3)) == (
        *("top left", "top", "top right", "left", "middle", "right", "bottom left", "bottom", "bottom right"),
    )
    with pytest.raises(BadInput, match="does not fit"):
        Scenes(16).items(0, 1, 0, (17, 4))
