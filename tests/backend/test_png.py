"""Pictures come back from PNG as they were, and other programs read them."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from backend.analysis.pixels import to_bytes
from backend.data.images.png import decode_png, encode_png
from backend.data.images.settings import to_float
from backend.errors import BadInput


@pytest.mark.parametrize("shape", [(1, 1, 3), (4, 4, 3), (7, 13, 3), (32, 32, 4), (1, 5, 4)])
def test_every_value_comes_back(shape):
    pixels = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    with Image.open(io.BytesIO(encode_png(pixels))) as read:
        assert np.array_equal(np.asarray(read), pixels)
    if shape[2] == 3:
        assert np.array_equal(decode_png(encode_png(pixels)), pixels)


def test_floats_of_all_256_values_become_their_bytes_again():
    values = np.arange(256, dtype=np.uint8)
    pixels = np.broadcast_to(to_float(values)[None, None], (3, 2, 256))
    assert np.array_equal(to_bytes(pixels), np.broadcast_to(values[None, :, None], (2, 256, 3)))
    assert to_bytes(np.full((2, 3, 1, 1), 7.0)).tolist() == [[[[255, 255, 255]]]] * 2


@pytest.mark.parametrize("wrong", [np.zeros((4, 4), np.uint8), np.zeros((4, 4, 3)), np.zeros((0, 4, 3), np.uint8)])
def test_what_is_no_picture_is_refused(wrong):
    with pytest.raises(BadInput, match="uint8"):
        encode_png(wrong)
