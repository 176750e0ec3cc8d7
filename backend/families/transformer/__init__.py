"""Codebook transformers: any causal language model with codebooks put in, on text or on finite-state machines."""

from backend.families.kind import FamilyKind

_HERE = "backend.families.transformer"
FAMILY = FamilyKind(
    item="text",
    files=("config.json", "codebooks.json", "model.safetensors"),
    doors={
        "open": f"{_HERE}.model:open_transformer",
        "live": f"{_HERE}.live:open_live",
        "measure": f"{_HERE}.measure:measure",
        "train": f"{_HERE}.train:RECIPES",
        "bring": f"{_HERE}.bring:FORMATS",
        "tables": f"{_HERE}.tables:TABLES",
    },
)
