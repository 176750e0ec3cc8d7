"""Image tokenizers: pictures to grids of code ids and back, however their table is produced."""

from backend.families.kind import FamilyKind

_HERE = "backend.families.image_tokenizer"
FAMILY = FamilyKind(
    item="image",
    files=("config.json", "model.safetensors"),
    doors={
        "open": f"{_HERE}.model:open_image_tokenizer",
        "live": f"{_HERE}.live:open_live",
        "measure": f"{_HERE}.measure:measure",
        "train": f"{_HERE}.train:RECIPES",
        "bring": f"{_HERE}.bring:FORMATS",
        "tables": f"{_HERE}.tables:TABLES",
    },
)
