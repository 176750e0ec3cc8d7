"""A family of a new kind of items: its package holds `FAMILY`, as `backend/families/NAME/__init__.py` does."""

from backend.families.kind import FamilyKind

FAMILY = FamilyKind(
    item="board",
    files=("model.safetensors",),
    doors={
        "open": "tests.toy.model:open_coder",
        "live": "tests.toy.model:open_live",
        "measure": "tests.toy.measure:measure",
        "train": "tests.toy.train:RECIPES",
    },
)
