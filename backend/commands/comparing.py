"""Image tokenizers side by side: `compare`."""

from __future__ import annotations

import argparse

from backend.cli import Answer, Command, Progress, given_path, positive, table

COLUMNS = (
    "model psnr psnr_std ssim feature_distance utilization ceiling utilization_of_ceiling perplexity tokens_counted "
    "bits_per_pixel bits_per_pixel_effective encode_ms decode_ms"
).split()


def _options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("models", metavar="MODEL", nargs="+", help="image tokenizers")
    group = parser.add_mutually_exclusive_group(required=True)
    group.add_argument(
        "--images",
        type=given_path,
        nargs="+",
        metavar="PATH",
        help="image files, folders or Parquet tables, or one float32 array (.npy)",
    )
    group.add_argument(
        "--held-out", type=positive, metavar="N", help="N held-out pictures of the first model's data set"
    )
    parser.add_argument(
        "--size",
        type=positive,
        default=0,
        metavar="PIXELS",
        help="a side, less what no cell fits into; files are cut to their middle square (as trained)",
    )


def _compare(options: argparse.Namespace, progress: Progress) -> Answer:
    import numpy as np

    from backend.commands.pictures import PictureFiles, read_given
    from backend.errors import UsageError
    from backend.explorer import Explorer
    from backend.jobs.compare import DEFINITIONS, common_size, compare, image_tokenizer, picture_table

    explorer = Explorer(options.data_dir)
    tokenizers = []
    for name in dict.fromkeys(options.models):
        progress(f"loading {name}", 0, 0)
        tokenizers.append(image_tokenizer(explorer, name))
    if options.held_out:
        if options.size:
            raise UsageError("Held-out pictures have the size of their data set: leave --size out, or give --images.")
        items = tokenizers[0].held_out(0, options.held_out)
        files = PictureFiles(
            np.stack([item.payload for item in items]), [f"held-out {item.index}" for item in items], []
        )
    else:
        size = common_size(tokenizers, options.size)
        files = read_given(options.images, lambda picture: tokenizers[0].fit(picture, size))
    compared = compare(tokenizers, files.pixels, progress)
    pictures = picture_table(compared, files.names)
    rows = [model.row() for model in compared]
    for row in rows:
        row["published"] = explorer.published(row["model"])
    names = [name for name in COLUMNS if name in rows[0]]
    lines = [table(names, [[row[name] for name in names] for row in rows])]
    height, width = files.pixels.shape[2:]
    lines.append(f"{len(files.names)} pictures of {width} x {height} pixels; spread: standard deviation over pictures.")
    timing = compared[0].timing
    if timing is not None:
        lines.append(
            f"Times: median of {timing.passes} warm passes; load {timing.load:.1f} on {timing.processors} processors before"
            + (": something else was at work, measure again when it is done." if timing.busy else ".")
        )
    data = {
        "models": rows,
        "pictures": pictures.to_dict("records"),
        "size": [height, width],
        "definitions": {name: text for name, text in DEFINITIONS.items() if name in rows[0]},
        "timing": None if timing is None else timing.state(),
        "warnings": files.warnings,
    }
    return Answer(data, "\n".join([*lines, *(f"Warning: {warning}" for warning in files.warnings)]))


COMPARE = Command(
    "compare",
    "image tokenizers side by side on the same pictures",
    (
        "compare scenes-vq-1024 scenes-fvq-1024 --images photos/ me.jpg",
        "compare scenes-vq-1024 scenes-fvq-1024 --held-out 64 --json",
    ),
    _options,
    _compare,
)
