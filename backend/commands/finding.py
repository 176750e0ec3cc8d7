"""Finding the codes that stand for something: `find-topic-codes`."""

from __future__ import annotations

import argparse
import shlex

from backend.cli import EDITS, Answer, Command, Progress, add_model, counting, positive, table, temperature
from backend.commands.asking import language_model
from backend.data.judging import PRACTICE, TRIES


def _options(parser: argparse.ArgumentParser) -> None:
    add_model(parser)
    parser.add_argument("field", metavar="FIELD", help="a tag or label of the data set, e.g. topic")
    parser.add_argument("value", metavar="VALUE", help="its value, e.g. dragon")
    parser.add_argument(
        "--success",
        default="",
        metavar="REGEX",
        help="RE2; a sample succeeds if its new text matches (the data's own truth, where it can judge text)",
    )
    parser.add_argument(
        "--prompt",
        action="append",
        default=[],
        metavar="P",
        help="text that candidates go on from; repeatable (prompts of the data set). Test on others",
    )
    parser.add_argument("--items", type=positive, default=800, metavar="N", help="items that codes are ranked on (800)")
    parser.add_argument("--samples", type=positive, default=TRIES, metavar="N", help=f"of each candidate ({TRIES})")
    parser.add_argument(
        "--new-tokens", type=positive, metavar="N", help="of each sample (200 for stories, else 40 or 60)"
    )
    parser.add_argument(
        "--temperature", type=temperature, metavar="T", help="of each sample (0.7 where text can be judged, else 1)"
    )
    parser.add_argument(
        "--practice",
        type=counting,
        default=PRACTICE,
        metavar="N",
        help=f"steps of practice, for what is true of whole items, each of as many samples; 0 leaves it out ({PRACTICE})",
    )
    parser.add_argument("--seed", type=counting, default=0, metavar="S", help="of the samples (0)")


def _find(options: argparse.Namespace, progress: Progress) -> Answer:
    progress(f"loading {options.model}", 0, 0)
    finding = language_model(options.model, options.data_dir).find_codes(
        options.field,
        options.value,
        success=options.success,
        prompts=options.prompt,
        items=options.items,
        samples=options.samples,
        new_tokens=options.new_tokens,
        temperature=options.temperature,
        practice=options.practice,
        seed=options.seed,
        progress=progress,
    )
    edits = [str(edit) for edit in finding.edits]
    judged = ["--success", options.success] if options.success else ["--topic", f"{options.field}={options.value}"]
    words = ["python", "-m", "backend", "steer", options.model, "--prompt", "PROMPT"]
    words += [word for edit in edits for word in ("--edit", edit)]
    words += [*judged, "--samples", "200", "--max-new-tokens", str(finding.new_tokens)]
    words += ["--temperature", f"{finding.temperature:g}"] if finding.temperature != 1 else []
    data = {
        "model": options.model,
        "field": options.field,
        "value": options.value,
        "edits": edits,
        "sites": [
            {"site": s.site, "codes": s.codes, "worth": s.worth, "precision": s.precision, "recall": s.recall}
            for s in finding.sites
        ],
        "tried": finding.tried.to_dict("records"),
        "prompts": finding.prompts,
        "items": finding.items,
        "samples": finding.samples,
        "steer": shlex.join(words),
    }
    ranking = table(
        ["codebook", "codes", "worth", "precision", "recall"],
        [[s.site, " ".join(map(str, s.codes)), s.worth, s.precision, s.recall] for s in finding.sites],
    )
    columns = ["sites", "where", "truth", "success", "perplexity_ratio", "worth"]
    tried = table(columns, finding.tried[columns].to_numpy(dtype=object).tolist())
    best = (
        "The best"
        if finding.tried["success"].max() > 0
        else "No candidate ever succeeded. The first of the most fluent"
    )
    return Answer(
        data,
        f"Codes of {options.field} = {options.value}, ranked on {finding.items} items:\n{ranking}\n\n"
        f"Candidates, {finding.samples} samples each:\n{tried}\n\n"
        f"{best}: {len(edits)} edits. Test them on a prompt that they were not chosen on:\n{shlex.join(words)}",
    )


FIND = Command(
    "find-topic-codes",
    "find the codes that stand for something, and the edits that bring it about",
    (
        "find-topic-codes stories-attn-k8 topic dragon",
        "find-topic-codes python-attn-k8 syntax comment --samples 64 --json",
    ),
    _options,
    _find,
    f"""\
Codes are ranked by what they tell of FIELD = VALUE (a codebook's worth, in nats). First, codes and the strengths at which they
are added are found by gradient descent: those that make texts that have it likelier. Those for whole items (a topic) then
practise: they write samples, and what made the ones that succeed likelier is strengthened (a policy gradient). Where that is
not good enough, edits that force the best codes of the ranking are tried on samples, and the better ones varied. The worth of
a candidate is the share of its samples that succeed, less what they lose in fluency: perplexity_ratio is their perplexity over
that of unsteered ones.

{EDITS}""",
)
