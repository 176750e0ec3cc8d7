"""The words that head figures and columns, each with its meaning: for hovers, for the sheet of keys and for the docs."""

from __future__ import annotations

import re
from collections.abc import Mapping

from markupsafe import Markup, escape

GLOSSARY: Mapping[str, str] = {
    "activation": "A code that was chosen at a position. With k slots, every position has k activations.",
    "alive": "Codes that fire at least once in this build.",
    "best neuron": "The single neuron that does best at the same task, with the threshold at which it reaches the code's "
    "recall: what the model offers without a codebook.",
    "bits per pixel": "Bits that the codes of a picture take, divided by its pixels.",
    "ceiling": "The share of a codebook that would be used if all its codes were equally likely, given how many choices "
    "were counted: 1 - exp(-choices / codes). Few choices cannot fill a large codebook.",
    "chance": "The share of all positions for which it is true: the precision of a code that fires anywhere.",
    "code": "One vector of a codebook. It fires where the model chooses it.",
    "codebook": "A list of vectors at one place of the network, which must say what it has to say there with the few that "
    "fit best.",
    "control": "Codes that were not chosen for this, measured in the same way: what one would see without a finding.",
    "cosine": "The cosine of the angle between two vectors: 1 is the same direction, 0 nothing in common.",
    "coverage": "The share of readings that have a code which stands for a state.",
    "dead": "Codes that never fire in this build.",
    "distance": "The Euclidean distance of two vectors; 0 is the same vector.",
    "entropy": "How evenly a choice is spread, in bits: 0 where it is always the same, log2(n) for n that are equally "
    "frequent.",
    "F1": "The harmonic mean of precision and recall: high only where both are.",
    "feature distance": "The distance of two pictures as our own encoder sees them. It is not LPIPS.",
    "forced": "The code is put in the place of what the model chose, before it goes on computing.",
    "held out": "Measured on the half of the items that took no part in choosing the code or the claim.",
    "KL": "The Kullback-Leibler divergence in nats: how far the model's prediction with the edits is from the one without. "
    "0 is no change.",
    "lift": "How many times as often a code fires here as in the whole build; 1 is no difference.",
    "margin": "The score of the chosen code minus that of the runner-up. A small one means that the code nearly was not "
    "chosen.",
    "overlap": "Jaccard: the positions at which both codes fire, divided by those at which at least one does.",
    "perplexity": "2 to the power of the entropy: as many equally likely choices would be as hard to guess. Of text: how "
    "surprising it is to the model, lower is more fluent.",
    "PMI": "Pointwise mutual information, in bits: how much more often two codes fire together than by chance. 1 is twice "
    "as often, 0 as often.",
    "precision": "Of the code's activations, the share for which it is true.",
    "PSNR": "Peak signal-to-noise ratio in decibels: 10 log10(range² / mean squared error). 3 dB more is half the error.",
    "pure": "Fires for one state only.",
    "rare": "Codes that fire 1 to 4 times in this build.",
    "recall": "Of the positions for which it is true, the share at which the code fires.",
    "runner-up": "The best code that was not chosen at a position.",
    "score": "How near the code's vector is to what the model had to say: see the codebook's similarity.",
    "slot": "One of the k choices that a codebook makes at each position; slot 0 is the best.",
    "SSIM": "Structural similarity of two pictures, from local means, contrasts and structure; 1 is the same.",
    "support": "How many positions it is true for.",
    "worth": "What the codes add, in nats, to the divergence between where it is true and anywhere.",
}
_SPELLED = {term.lower(): term for term in GLOSSARY} | {"activations": "activation", "codes": "code", "slots": "slot"}
_SPELLED |= {"codebooks": "codebook", "held-out": "held out", "forcing": "forced", "purity": "pure"}
_WORDS = re.compile(r"\b(" + "|".join(sorted(map(re.escape, _SPELLED), key=len, reverse=True)) + r")\b", re.IGNORECASE)
_PLAIN = frozenset({"code", "codebook"})  # explained in the list alone: they head nearly every table


def meaning(heading: str) -> str:
    """Return what the words of a heading mean, one after another; empty where it has none that need a word."""
    terms = dict.fromkeys(_SPELLED[found.lower()] for found in _WORDS.findall(heading))
    found = [term for term in terms if term not in _PLAIN]
    return " ".join(f"{term[0].upper()}{term[1:]}: {GLOSSARY[term]}" for term in found)


def headed(heading: str) -> Markup:
    """Return a heading as HTML; where it has words of the glossary, they are explained when it is pointed at or focused.

    What is `Markup` already is left as it is.
    """
    if isinstance(heading, Markup):
        return heading
    says = meaning(str(heading))
    if not says:
        return escape(heading)
    return Markup('<abbr class="term" tabindex="0" data-says="{}">{}</abbr>').format(says, heading)
