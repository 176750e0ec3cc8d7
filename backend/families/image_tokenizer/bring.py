"""The published image tokenizers that `import` reads. What reads them is imported when one is."""

from __future__ import annotations

from collections.abc import Callable

from backend.formats.format import Addition, Format, ImportRequest


def _adder(reader: str) -> Callable[[ImportRequest], Addition]:
    def add(request: ImportRequest) -> Addition:
        from backend.families.image_tokenizer.formats.adding import READERS, add_tokenizer

        return add_tokenizer(READERS[reader], request)

    return add


def _format(name: str, about: str, base: str, folder: bool = False) -> Format:
    return Format(about, base, _adder(name), folder, {"text": "see pictures"})


_CLAIMS = "its configuration (JSON or YAML), held against the weights"
FORMATS = {
    "llamagen": _format("llamagen", "LlamaGen's VQ-8 and VQ-16: a .pt file", _CLAIMS),
    "fvq": _format("fvq", "FVQ, converted or with its VQBridge: a .pt file", _CLAIMS),
    "vqgan-lc": _format("vqgan-lc", "VQGAN-LC: a .pth file", "its yaml, held against the weights"),
    "taming": _format("taming", "VQGANs of taming-transformers: a .ckpt file", "the yaml it was trained with"),
    "diffusers": _format("diffusers", "a folder of diffusers' VQModel", "its configuration, where PATH has none", True),
}
