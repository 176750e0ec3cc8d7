"""Bringing in checkpoints that other programs wrote: `import`."""

from __future__ import annotations

import argparse
from pathlib import Path

from backend.cli import Answer, Command, Progress, clean, given_path, next_step
from backend.data.tags import OPTIONS
from backend.train.recipes import add_source_options, given_of


def _options(parser: argparse.ArgumentParser) -> None:
    from backend.jobs.importing import formats

    known = {name: format for name, (_, format) in formats().items()}
    width = max(map(len, known))
    lines = [f"{name:<{width}}  {format.about}\n{'':<{width}}  --base: {format.base}" for name, format in known.items()]
    parser.add_argument_group("formats", "\n".join(lines))
    parser.add_argument("format", metavar="FORMAT", choices=tuple(known), help=f"one of {', '.join(known)}")
    parser.add_argument(
        "path",
        type=given_path,
        metavar="PATH",
        help="the checkpoint's folder or file; or hf:owner/name[:file], on the hub",
    )
    parser.add_argument(
        "--base",
        type=given_path,
        metavar="CONFIG",
        help="configuration of the model that the codebooks were put into, or that an image tokenizer was trained with",
    )
    parser.add_argument("--name", metavar="N", help="name of the new model (made from the path)")
    parser.add_argument(
        "--images", type=given_path, metavar="PATH", help="pictures that an image tokenizer is shown (our scenes)"
    )
    parser.add_argument(
        "--text",
        type=given_path,
        metavar="FILE|DIR|hf:NAME",
        help="text that a language model with a tokenizer is shown (our stories)",
    )
    add_source_options(parser.add_argument_group("tags of your own pictures or text"), OPTIONS)
    parser.add_argument("--overwrite", action="store_true", help="replace a model of that name")


def _import(options: argparse.Namespace, progress: Progress) -> Answer:
    from backend.jobs.importing import import_checkpoint

    progress(f"reading {options.path}", 0, 0)
    report = import_checkpoint(
        options.format,
        Path(options.path).expanduser(),
        options.data_dir,
        base=Path(options.base).expanduser() if options.base else None,
        name=options.name,
        images=Path(options.images).expanduser() if options.images else None,
        text=options.text,
        tags=given_of(options, OPTIONS),
        overwrite=options.overwrite,
    )
    sites = ", ".join(report.codebooks[:6]) + (" ..." if len(report.codebooks) > 6 else "")
    lines = [
        f"Imported {report.model}: {len(report.codebooks)} codebooks" + (f" ({sites})." if sites else "."),
        *(clean(f"Warning: {warning}") for warning in report.warnings),
        next_step(report.following, options.data_dir),
    ]
    return Answer({"model": report.model, "codebooks": report.codebooks, "warnings": report.warnings}, "\n".join(lines))


IMPORT = Command(
    "import",
    "add a published checkpoint to the data directory",
    (
        "import codebook-features PATH --base BASE_FOLDER --name my-codes",
        "import huggingface PATH --name my-model --text my-novel.txt",
        "import taming last.ckpt --base model.yaml --name my-vqgan --images MY_PHOTOS",
    ),
    _options,
    _import,
)
