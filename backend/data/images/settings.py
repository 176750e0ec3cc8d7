"""The settings that image data sets share, read and checked in one place."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from backend.errors import CatalogError

SIZES = (8, 1024)  # smallest and largest side of an image


def read_settings(settings: Mapping[str, Any], **defaults: Any) -> dict[str, Any]:
    """Check settings and fill in what is missing.

    Args:
        settings: the `[dataset]`; `name` is left out.
        defaults: every known setting; a value must have the type of its default.

    Raises:
        CatalogError: an unknown key, a value of another type, or a size out of range.
    """
    name = settings.get("name")
    values = {key: value for key, value in settings.items() if key != "name"}
    if unknown := sorted(values.keys() - defaults.keys()):
        raise CatalogError(f"Unknown settings {unknown} of the {name} images; known: {sorted(defaults)}.")
    for key, value in values.items():
        kind = type(defaults[key])
        if type(value) is not kind:  # not isinstance: true is an int to Python, and no size is `true`
            raise CatalogError(f"Setting {key} = {value!r} of the {name} images must be of type {kind.__name__}.")
    if "size" in values and not SIZES[0] <= values["size"] <= SIZES[1]:
        raise CatalogError(f"Images of {values['size']} pixels a side cannot be made; give {SIZES[0]} to {SIZES[1]}.")
    return {**defaults, **values}


def to_float(pixels: np.ndarray) -> np.ndarray:
    """Scale uint8 to float32 in [-1, 1]."""
    return pixels.astype(np.float32) / np.float32(127.5) - 1
