"""Byte-level BPE: training a tokenizer, reading one, and which characters of a text each token holds.

Training: the text is cut by GPT-2's regular expression (a word with the space before it, a run of digits, of punctuation,
of white space), each piece is taken as UTF-8 bytes, and the commonest neighbours are merged until the vocabulary is full
(Sennrich et al., 2016; Radford et al., 2019). So any text is covered, digits may merge as in GPT-2, and `<|endoftext|>` is 0.

Spans are computed from the bytes of the tokens, never from their printed forms: a token's span is the characters whose
*first* byte it holds. So the spans of a text's tokens follow each other and leave nothing out; where a character is cut
into several tokens the first one has it and the others are empty. Bytes that are not UTF-8, which only a model writes, are
shown as U+FFFD, one for each piece that Python's decoder replaces.

Exact, in that `render` gives back what `parse` was given, for every text: byte-level BPE without a normalizer (ours, GPT-2,
GPT-Neo, OPT, Llama 3) and SentencePiece-like BPE with byte fallback (Llama 2, Gemma) as long as the text has no `▁`.
A tokenizer that changes the text first (Pythia's and Qwen's NFC) is exact on texts that it leaves as they are; items keep
the original text even then, with the library's own offsets. Other kinds (WordPiece, say) are shown by decoding ever longer
beginnings: close, with no promise.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from tokenizers import Encoding, Tokenizer, decoders, models, pre_tokenizers, trainers

from backend.data.texts.corpus import END_OF_TEXT
from backend.errors import BadInput, CheckpointError, UsageError

TOKENIZER = "tokenizer.json"
MAX_BYTES = 256 << 20
_BEGIN = ("<s>", "<bos>", "<|begin_of_text|>")
_UNKNOWN = "\ufffd".encode()
_FALLBACK = re.compile(r"<0x([0-9A-F]{2})>")
_SURROGATE = re.compile("[\ud800-\udfff]")


def train_tokenizer(texts: Iterable[str], vocabulary: int) -> Tokenizer:
    """Train a byte-level BPE; the same texts in the same order give the same tokenizer.

    Args:
        texts: what to train on.
        vocabulary: number of tokens at most, the 256 bytes and `<|endoftext|>` (id 0) among them.

    Raises:
        UsageError: a vocabulary that has no room for the bytes.
    """
    if vocabulary < 257:
        raise UsageError(f"A vocabulary of {vocabulary} tokens is too small: bytes and {END_OF_TEXT} alone are 257.")
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        min_frequency=2,
        special_tokens=[END_OF_TEXT],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return tokenizer


def load_tokenizer(path: Path) -> Tokenizer:
    """Read a `tokenizer.json`.

    Raises:
        CheckpointError: it is missing, larger than 256 MiB or no tokenizer.
    """
    try:
        size = path.stat().st_size
        if size > MAX_BYTES:
            raise CheckpointError(
                f"{path} has {size:,} bytes; a tokenizer has {MAX_BYTES:,} at most. Restore the file."
            )
        content = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise CheckpointError(
            f"{path} cannot be read ({error}). Text needs the model's tokenizer there: copy it beside the weights."
        ) from error
    try:
        return Tokenizer.from_str(content)
    except Exception as error:  # the library raises nothing more special
        raise CheckpointError(
            f"{path} is not a tokenizer of the `tokenizers` library: {error}. Restore the file or write it with "
            "`save_pretrained` of a fast tokenizer."
        ) from error


class TextTokenizer:
    """A tokenizer that knows exactly which characters its tokens hold."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        """Take over a tokenizer: cutting, padding and reading special tokens out of plain text are switched off."""
        tokenizer.no_truncation()
        tokenizer.no_padding()
        tokenizer.encode_special_tokens = True  # `<|endoftext|>` in a person's text is text
        self._tokenizer = tokenizer

    @cached_property
    def vocabulary(self) -> int:
        """Number of token ids: the largest and one."""
        return max(self._tokenizer.get_vocab().values(), default=-1) + 1

    @cached_property
    def bos(self) -> int | None:
        """The token in front of every text: `<|endoftext|>`, else what the tokenizer itself puts there, else none."""
        if (end_of_text := self._tokenizer.token_to_id(END_OF_TEXT)) is not None:
            return end_of_text
        added = self._tokenizer.encode("", add_special_tokens=True).ids
        return added[0] if added else next(filter(None.__ne__, map(self._tokenizer.token_to_id, _BEGIN)), None)

    def encode(self, texts: Sequence[str]) -> list[tuple[np.ndarray, np.ndarray]]:
        """Cut texts into tokens: of each the ids int64 `[T]`, bos token included, and the character spans int64 `[T, 2]`.

        Spans refer to the text as it was before any normalisation and tile it.

        Raises:
            BadInput: a text holds half of a surrogate pair, which is not Unicode text.
        """
        encoded = []
        for text, ids in zip(texts, self.ids(texts), strict=True):
            shown, spans = self.render(ids)
            # bytes that do not give the text back come from a tokenizer that changed it first: only the library knows how
            encoded.append((ids, spans if shown == text else self._library_spans(text)))
        return encoded

    def ids(self, texts: Sequence[str]) -> list[np.ndarray]:
        """Cut texts into tokens: of each the ids int64 `[T]`, bos token included; errors as in `encode`."""
        for text in texts:
            if half := _SURROGATE.search(text):
                raise BadInput(
                    f"Character {half.start() + 1} of the text, {half[0]!r}, is half of a surrogate pair and not Unicode "
                    "text. Delete it or copy the text anew."
                )
        front = [] if self.bos is None else [self.bos]
        encoded = self._tokenizer.encode_batch_fast(list(texts), add_special_tokens=False)
        return [np.array(front + encoding.ids, dtype=np.int64) for encoding in encoded]

    def render(self, ids: Sequence[int] | np.ndarray) -> tuple[str, np.ndarray]:
        """Write token ids as text; also return character spans that tile it, int64 `[T, 2]`. Special tokens are empty."""
        numbers = [int(i) for i in ids]
        if self._pieces is None:
            return self._render_by_decoding(numbers)
        count = len(self._pieces)  # models may have a few rows more than their tokenizer has tokens
        pieces = [self._pieces[i] if 0 <= i < count else _UNKNOWN for i in numbers]
        if self._adds_space and (self.bos is None or numbers[:1] == [self.bos]):
            first = next((i for i, piece in enumerate(pieces) if piece), 0)
            pieces[first : first + 1] = [piece.removeprefix(b" ") for piece in pieces[first : first + 1]]
        data = b"".join(pieces)
        ends = np.cumsum([0, *map(len, pieces)])  # in bytes
        text, begins = _decode(data)
        # the characters that have begun before a byte: turns ends in bytes into ends in characters
        bounds = np.concatenate(([0], np.cumsum(begins)))[ends]
        return text, np.stack((bounds[:-1], bounds[1:]), axis=1).astype(np.int64)

    # -- how tokens become text --------------------------------------------------------------------------------------

    @cached_property
    def _steps(self) -> list[dict[str, Any]]:
        """What the tokenizer's decoder does, one step after the other."""
        decoder = self._tokenizer.decoder
        if decoder is None:
            return []
        step = json.loads(decoder.__getstate__())  # the library has no other way to ask
        return step["decoders"] if step["type"] == "Sequence" else [step]

    @cached_property
    def _adds_space(self) -> bool:
        """Whether the tokenizer puts a space before every text, and takes it away when decoding."""
        return any(
            (step["type"] == "Strip" and step["content"] == " " and step["start"] == 1)
            or (step["type"] == "Metaspace" and step["prepend_scheme"] != "never")
            for step in self._steps
        )

    @cached_property
    def _pieces(self) -> list[bytes] | None:
        """The bytes of every token, UTF-8; None where a token alone does not determine them."""
        kinds = {step["type"] for step in self._steps}
        if kinds == {"ByteLevel"}:
            to_byte = _bytes_of_characters()
            content = {
                piece: bytes(to_byte[c] for c in piece) if all(c in to_byte for c in piece) else piece.encode()
                for piece in self._tokenizer.get_vocab()
            }
        elif kinds and kinds <= {"Replace", "ByteFallback", "Fuse", "Strip", "Metaspace"}:
            swaps = [
                (step["replacement"], " ")
                if step["type"] == "Metaspace"
                else (step["pattern"].get("String"), step["content"])
                for step in self._steps
                if step["type"] in ("Replace", "Metaspace")
            ]
            if any(old is None for old, _ in swaps):
                return None
            content = {piece: _write(piece, swaps, "ByteFallback" in kinds) for piece in self._tokenizer.get_vocab()}
        else:
            return None
        pieces = [_UNKNOWN] * self.vocabulary
        for piece, number in self._tokenizer.get_vocab().items():
            pieces[number] = content[piece]
        for number, added in self._tokenizer.get_added_tokens_decoder().items():
            pieces[number] = b"" if added.special else added.content.encode()
        if self.bos is not None:
            pieces[self.bos] = b""  # some files do not call it special
        return pieces

    def _render_by_decoding(self, ids: list[int]) -> tuple[str, np.ndarray]:
        text = self._tokenizer.decode(ids)
        ends = [min(len(self._tokenizer.decode(ids[:count])), len(text)) for count in range(1, len(ids))]
        return text, _tile([*ends, len(text)][: len(ids)])

    def _library_spans(self, text: str) -> np.ndarray:
        """Return spans from the library's offsets in the text before normalisation, made to tile it."""
        encoding: Encoding = self._tokenizer.encode(text, add_special_tokens=False)
        ends = [0] * (self.bos is not None) + [stop for _, stop in encoding.offsets]
        return _tile([*ends[:-1], len(text)] if encoding.ids else ends)


def _tile(ends: Sequence[int]) -> np.ndarray:
    """Make spans int64 `[T, 2]` of where tokens end, perhaps out of order: each begins at the end of the one before."""
    bounds = np.maximum.accumulate(np.array([0, *ends], dtype=np.int64))
    return np.stack((bounds[:-1], bounds[1:]), axis=1)


def _decode(data: bytes) -> tuple[str, np.ndarray]:
    """Read bytes as text, with U+FFFD where they are not UTF-8; also return bool `[bytes]`: here a character begins."""
    begins = np.frombuffer(data, np.uint8) & 0xC0 != 0x80  # bytes 10xxxxxx continue a character
    try:
        return data.decode(), begins
    except UnicodeDecodeError:
        begins = begins.copy()
    # The decoder alone says how many bytes each U+FFFD stands for, so it is asked mistake by mistake.
    done = 0
    while done < len(data):
        try:
            data[done:].decode()
            break
        except UnicodeDecodeError as error:
            begins[done + error.start : done + error.end] = False
            begins[done + error.start] = True
            done += error.end
    return data.decode("utf-8", "replace"), begins


def _bytes_of_characters() -> dict[str, int]:
    """Return the letters in which byte-level BPE writes bytes: printable ones are themselves, others from U+0100 on."""
    plain = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(256) if byte not in plain]
    return {chr(byte): byte for byte in plain} | {chr(0x100 + i): byte for i, byte in enumerate(others)}


def _write(piece: str, swaps: Sequence[tuple[str, str]], fallback: bool) -> bytes:
    if fallback and (byte := _FALLBACK.fullmatch(piece)):
        return bytes([int(byte[1], 16)])
    for old, new in swaps:
        piece = piece.replace(old, new)
    return piece.encode()
