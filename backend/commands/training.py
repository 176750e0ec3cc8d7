"""Training from nothing or from a base: `train`. What can be trained, and how, is known by the families."""

from __future__ import annotations

import argparse

from backend.cli import Answer, Command, Progress, chosen_device, everywhere, examples, metric_table, next_step


def _options(parser: argparse.ArgumentParser) -> None:
    from backend.jobs.training import recipes

    known = recipes()
    subparsers = parser.add_subparsers(metavar="RECIPE", required=True, dest="recipe")
    for recipe in known.values():
        sub = subparsers.add_parser(
            recipe.name,
            help=recipe.about.replace("%", "%%"),
            description=recipe.description,
            epilog=examples(recipe.examples) if recipe.examples else None,
            formatter_class=argparse.RawDescriptionHelpFormatter,
            parents=[everywhere(False)],
            allow_abbrev=False,
        )
        sub.set_defaults(trains=recipe)
        recipe.options(sub)
    parser.epilog = examples([example for recipe in known.values() for example in recipe.examples])


def _run(options: argparse.Namespace, progress: Progress) -> Answer:
    from backend.jobs.training import train

    options.device = chosen_device(options.device)
    report = train(options.trains, options.trains.plan(options), progress)
    if report is None:  # one of several processes, and not the one that answers
        return Answer({}, "")
    data = {
        "model": report.model,
        "checkpoint": str(report.checkpoint),
        "steps": report.steps,
        "seconds": report.seconds,
        "metrics": report.metrics,
    }
    lines = [f"Trained {report.model} in {report.seconds:.0f} s; it is in {report.checkpoint}."]
    if report.metrics:
        lines.append(metric_table({name: metric for name, metric in report.metrics.items() if "." not in name}))
    return Answer(data, "\n".join([*lines, *report.remarks, next_step(f"build {report.model}", options.data_dir)]))


TRAIN = Command(
    "train",
    "train a model, with progress, saved states and --resume",
    (
        "train tokfsm --places attn+mlp --k 1 --codes 1000",
        "train text --text my-novel.txt --places attn --k 8 --name mine",
        "train scenes --method fvq --codes 4096",
    ),
    _options,
    _run,
    """\
A language model is trained as it is first (NAME-base, unless --from names one), then codebooks are put into it, filled
by k-means, and the whole is fine-tuned. Stopped, even by kill -9, the same command with --resume goes on from its last
saved state. `python -m backend train RECIPE --help` has the options.""",
)
