"""Bringing in checkpoints that other programs wrote: `import`."""

from __future__ import annotations

import argparse
import shlex
from pathlib import Path

from backend.cli import Answer, Command, Progress, clean, given_path, next_step

# `backend.jobs.importing.FORMATS` without importing it, which takes seconds
FORMATS = ("codebook-features", "huggingface", "llamagen", "fvq", "vqgan-lc", "taming", "diffusers")


def _options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("format", metavar="FORMAT", choices=FORMATS, help=f"one of {', '.join(FORMATS)}")
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
        overwrite=options.overwrite,
    )
    sites = ", ".join(report.codebooks[:6]) + (" ..." if len(report.codebooks) > 6 else "")
    following = f"build {report.model}" if report.codebooks else _training(report.model, options)
    lines = [
        f"Imported {report.model}: {len(report.codebooks)} codebooks" + (f" ({sites})." if sites else "."),
        *(clean(f"Warning: {warning}") for warning in report.warnings),
        next_step(following, options.data_dir),
    ]
    return Answer({"model": report.model, "codebooks": report.codebooks, "warnings": report.warnings}, "\n".join(lines))


def _training(model: str, options: argparse.Namespace) -> str:
    """The command that puts codebooks into a model that has none."""
    from backend.catalog import find

    dataset = find(model, options.data_dir).dataset
    if dataset["name"] == "tokfsm":
        return f"train tokfsm --from {model} --places mlp --name {model}-codes"
    text = shlex.quote(str(options.text or "YOUR-TEXT"))
    return f"train text --from {model} --text {text} --places mlp --k 8 --name {model}-codes"


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
