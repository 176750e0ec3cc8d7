"""Measuring a model again from its checkpoint: every number with its definition, its n and its spread over seeds.

What is measured is the business of the model's family, behind its door `measure`. Nothing is read from a record.
"""

from __future__ import annotations

from pathlib import Path

from backend import catalog
from backend.analysis.measures import Measures
from backend.families import Opener, kind_of_model
from backend.families.kind import Request


def evaluate(model: str, data_dir: Path, request: Request | None = None, device: str = "cpu") -> Measures:
    """Measure a model of the catalog. It and each model that it is compared with are loaded once.

    Args:
        model: its name.
        data_dir: where its checkpoint is.
        request: what is measured; everything, with three seeds, by default.
        device: `cpu` or `cuda`.

    Raises:
        UnknownModel: there is none of that name.
        Unsupported: models of its family cannot be measured.
        CheckpointError: its weights cannot be used.
    """
    measure = kind_of_model(catalog.find(model, data_dir)).door("measure", model)
    other, into = Opener(data_dir, device), Measures()
    measure(other(model), other, request or Request(), into)
    return into
