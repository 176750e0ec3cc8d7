"""The published language models that `import` reads. What reads them is imported when one is."""

from __future__ import annotations

from backend.formats.format import Addition, Format, ImportRequest


def _codebook_features(request: ImportRequest) -> Addition:
    from backend.families.transformer.formats import codebook_features
    from backend.families.transformer.formats.adding import add_transformer

    return add_transformer(codebook_features.read, request)


def _huggingface(request: ImportRequest) -> Addition:
    from backend.families.transformer.formats import huggingface
    from backend.families.transformer.formats.adding import add_transformer

    return add_transformer(huggingface.read, request)


_REFUSES = {"images": "read text"}
FORMATS = {
    "codebook-features": Format(
        "a folder of the codebook-features code (Tamkin et al.)",
        "folder or config.json of the model that the codebooks were put into",
        _codebook_features,
        folder=True,
        refuses=_REFUSES,
    ),
    "huggingface": Format(
        "a folder of any causal language model of transformers, without codebooks",
        "its configuration, where PATH has none",
        _huggingface,
        folder=True,
        refuses=_REFUSES,
    ),
}
