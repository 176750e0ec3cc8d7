"""Photos and digits from installed packages, mixtures, and the settings of all image data sets."""

from pathlib import Path

import numpy as np
import pytest

from backend.analysis.seeds import HELD_OUT_SEED
from backend.data.datasets import open_images, sources
from backend.data.images.photos import HELD_OUT_PHOTOS, TRAINING_PHOTOS
from backend.errors import CatalogError

MIXTURE = {
    "name": "mixture",
    "size": 16,
    "parts": [{"name": "scenes", "share": 0.6}, {"name": "photos", "share": 0.3}, {"name": "digits", "share": 0.1}],
}


def opened(name, **settings):
    return open_images({"name": name, **settings}, Path("."))


@pytest.mark.parametrize("settings", [{"name": "photos", "size": 16}, {"name": "digits", "size": 16}, MIXTURE])
def test_an_image_is_the_same_whatever_range_it_is_asked_in_and_its_item_shows_it(settings):
    data = open_images(settings, Path("."))
    together = data.pixels(3, 43, seed=7)
    assert together.shape == (40, 3, 16, 16) and together.dtype == np.float32
    assert -1 <= together.min() < -0.5 and 0.5 < together.max() <= 1
    for item, pixels in zip(data.items(3, 43, 7, (4, 2)), together, strict=True):
        assert np.array_equal(item.payload, pixels) and item.shape == (4, 2)
        assert set(item.labels) == set(data.fields) and all(len(values) == 8 for values in item.labels.values())
    assert np.array_equal(data.pixels(20, 21, seed=7)[0], together[17])
    assert not np.array_equal(data.pixels(3, 43, seed=8), together)
    assert data.pixels(4, 4, seed=0).shape == (0, 3, 16, 16) and data.items(4, 4, 0, (2, 2)) == []


def test_held_out_photos_are_never_shown_in_training_and_crops_have_content():
    assert not set(HELD_OUT_PHOTOS.values()) & set(TRAINING_PHOTOS.values())
    for seed, photos in ((0, TRAINING_PHOTOS), (HELD_OUT_SEED - 1, TRAINING_PHOTOS), (HELD_OUT_SEED, HELD_OUT_PHOTOS)):
        items = opened("photos").items(0, 120, seed, (4, 4))
        assert {item.tags["photo"] for item in items} == set(photos)
        assert np.mean([item.payload.std() > 0.1 for item in items]) > 0.85


def test_digits_held_out_and_trained_on_are_different_and_every_one_is_shown_once():
    digits = opened("digits", size=8)
    assert (digits.count(0), digits.count(HELD_OUT_SEED), opened("photos").count(0)) == (1437, 360, None)
    train, kept = digits.pixels(0, 1437, 0), digits.pixels(0, 360, HELD_OUT_SEED)
    every = np.concatenate((train, kept)).reshape(1797, -1)
    original = np.rint(digits._digits[0] * 1.0)[:, None].repeat(3, 1).reshape(1797, -1) / 127.5 - 1
    assert np.allclose(every[np.lexsort(every.T)], original[np.lexsort(original.T)], atol=1e-6)
    assert np.array_equal(digits.pixels(1437, 1440, 0), train[:3])
    items = digits.items(0, 300, 0, (4, 4))
    assert {item.tags["class"] for item in items} == set(digits.classes)
    assert all(set(item.labels["digit"]) <= {"", item.tags["class"]} for item in items)
    assert all(item.tags["class"] in item.labels["digit"] for item in items)


def test_a_mixture_shows_its_parts_in_their_shares_each_image_as_the_part_has_it():
    mixture = open_images(MIXTURE, Path("."))
    items = mixture.items(0, 1000, 1, (2, 2))
    sources = [item.tags["source"] for item in items]
    assert [item.index for item in items] == list(range(1000))
    for name, share in (("scenes", 0.6), ("photos", 0.3), ("digits", 0.1)):
        assert sources.count(name) / 1000 == pytest.approx(share, abs=0.05)
        shown = [item.payload for item in items[256:512] if item.tags["source"] == name]
        assert np.array_equal(shown, opened(name, size=16).pixels(256, 256 + len(shown), 1))
    assert set(items[sources.index("photos")].labels["object"]) == {""}
    assert set(items[sources.index("scenes")].labels["object"]) != {""}
    assert mixture.count(0) is None


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"name": "pictures"}, "no image data set 'pictures'. Known: scenes"),
        ({"name": "scenes", "sizes": 32}, r"Unknown settings \['sizes'\]"),
        ({"name": "scenes", "size": "32"}, "must be of type int"),
        ({"name": "photos", "size": True}, "must be of type int"),
        ({"name": "digits", "size": 4000}, "8 to 1024"),
        ({"name": "mixture"}, "needs parts"),
        ({"name": "mixture", "parts": ["scenes"]}, "needs parts"),
        ({"name": "mixture", "parts": [{"name": "scenes", "share": -1}]}, "not a number above 0"),
        ({"name": "mixture", "parts": [{"name": "scenes", "size": 64}]}, "leave it out"),
        ({"name": "mixture", "parts": [{"name": "mixture"}]}, "itself a mixture"),
        ({"name": "folder"}, "need a path"),
        ({"name": "folder", "path": "x", "held_out": 1.0}, "out of range"),
    ],
)
def test_a_setting_that_cannot_be_is_named(settings, said):
    with pytest.raises(CatalogError, match=said):
        open_images(settings, Path("."))


def test_every_data_set_is_in_the_registry():
    assert [source.name for source in sources("image")] == ["scenes", "photos", "digits", "mixture", "folder"]
