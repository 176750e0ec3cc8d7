"""Byte-level BPE: which characters a token holds, for any Unicode and for other people's tokenizers."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

from backend.data.texts.bpe import END_OF_TEXT, TextTokenizer, load_tokenizer, train_tokenizer
from backend.errors import BadInput, CheckpointError, UsageError

TEXTS = [
    "The dragon walked to the castle, and the princess laughed at 1999 dragons.\n" * 3,
    "Ünïcödé über alles: naïve café, 北京是中国的首都, 👩‍👩‍👧 and 🙂🙂 together.\n" * 3,
    "    def f(x):\n        return x + 10\n" * 3,
]
HARD = [
    "",
    " ",
    "e\u0301 o\u0308",
    "👩‍👩‍👧🏽",
    "北京",
    "a\u200bb\ufeff",
    "\x00\x7f",
    "\r\n\t ",
    "<|endoftext|> <s>",
    "ￇ\U0010ffff",
    "ὦ",
]
text = st.text(st.characters(exclude_categories=["Cs"]), max_size=60)


def ours() -> TextTokenizer:
    return TextTokenizer(train_tokenizer(TEXTS, 400))


def sentencepiece() -> TextTokenizer:
    """As Llama 2's: a space in front of the text, `▁` for spaces, bytes for what is not in the vocabulary."""
    pieces = ["<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256)), "▁", *"Thedragonwlk", "dr", "▁dr"]
    tokenizer = Tokenizer(
        models.BPE(
            vocab={piece: i for i, piece in enumerate(dict.fromkeys(pieces))},
            merges=[("d", "r"), ("▁", "dr")],
            byte_fallback=True,
            unk_token="<unk>",
            fuse_unk=True,
        )
    )
    tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    tokenizer.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    tokenizer.add_special_tokens(["<unk>", "<s>", "</s>"])
    tokenizer.post_processor = processors.TemplateProcessing("<s> $A", special_tokens=[("<s>", 1)])
    return TextTokenizer(tokenizer)


def word_pieces() -> TextTokenizer:
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.decoder = decoders.WordPiece()
    tokenizer.train_from_iterator(
        TEXTS, trainers.WordPieceTrainer(vocab_size=200, special_tokens=["[UNK]"], show_progress=False)
    )
    return TextTokenizer(tokenizer)


OURS, LLAMA, WORDS = ours(), sentencepiece(), word_pieces()


def assert_tiles(spans: np.ndarray, length: int) -> None:
    bounds = [0, *spans[:, 1].tolist()]
    assert spans[:, 0].tolist() == bounds[:-1] and bounds == sorted(bounds) and bounds[-1] == length


def characters_by_hand(pieces: list[bytes]) -> list[str]:
    """Which characters begin in each piece, found by decoding ever longer beginnings of valid UTF-8."""
    whole, found, done = b"".join(pieces), [], 0
    for piece in pieces:
        starts = [i for i in range(done, done + len(piece)) if whole[i] & 0xC0 != 0x80]
        found.append("".join(whole[i:].decode()[0] for i in starts))
        done += len(piece)
    return found


@settings(max_examples=200, deadline=None)
@given(text)
def test_any_text_comes_back_with_spans_that_hold_its_characters(given_text):
    for tokenizer in (OURS, LLAMA):
        if tokenizer is LLAMA and "▁" in given_text:
            continue
        [(ids, spans)] = tokenizer.encode([given_text])
        assert tokenizer.render(ids)[0] == given_text
        assert ids[0] == tokenizer.bos and spans[0].tolist() == [0, 0]
        assert_tiles(spans, len(given_text))


@pytest.mark.parametrize("hard", HARD)
def test_hard_characters_stand_in_the_token_that_begins_them(hard):
    [(ids, spans)] = OURS.encode([hard])
    raw = json.loads(OURS._tokenizer.to_str())["model"]["vocab"]
    names = {number: name for name, number in raw.items()}
    byte_of = {letter: byte for byte, letter in enumerate(_gpt2_letters())}
    pieces = [bytes(byte_of[letter] for letter in names[i]) for i in ids[1:].tolist()]
    assert b"".join(pieces) == hard.encode()
    assert [hard[a:b] for a, b in spans[1:].tolist()] == characters_by_hand(pieces)


def _gpt2_letters() -> list[str]:
    """The letter of every byte, learnt from the library: it writes a character's bytes one by one."""
    splitter = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    letters = [""] * 256
    for number in [
        *range(0x80),
        *range(0x80, 0x800, 7),
        *range(0x800, 0xD800, 501),
        0xFEFF,
        0xFFC7,
        *range(0x10000, 0x110000, 4001),
    ]:
        for byte, letter in zip(chr(number).encode(), splitter.pre_tokenize_str(chr(number))[0][0], strict=True):
            letters[byte] = letter
    return letters


def test_bytes_that_are_no_utf8_are_shown_as_python_shows_them():
    rng = np.random.default_rng(0)
    for _ in range(200):
        data = rng.choice([0x41, 0x80, 0xBF, 0xC3, 0xA9, 0xE2, 0x82, 0xAC, 0xF0, 0x9F, 0x99, 0x82, 0xFF], 12).tolist()
        ids = [LLAMA._tokenizer.token_to_id(f"<0x{byte:02X}>") for byte in data]
        shown, spans = LLAMA.render([LLAMA.bos, *ids])
        assert shown == bytes(data).decode("utf-8", "replace")
        assert_tiles(spans, len(shown))
    shown, spans = LLAMA.render([LLAMA.bos, *(LLAMA._tokenizer.token_to_id(f"<0x{b:02X}>") for b in b"\xe2\x82A\xff")])
    assert shown == "\ufffdA\ufffd" and spans.tolist() == [[0, 0], [0, 1], [1, 1], [1, 2], [2, 3]]


def test_the_space_that_a_tokenizer_adds_is_taken_from_whole_texts_and_left_in_single_tokens():
    ids = LLAMA.ids(["dragon dr"])[0]
    assert LLAMA._tokenizer.id_to_token(int(ids[1])) == "▁dr"
    assert LLAMA.render(ids)[0] == "dragon dr"
    assert LLAMA.render(ids[1:2])[0] == " dr"
    assert LLAMA.render(LLAMA.ids([" dr"])[0])[0] == " dr"


def test_special_tokens_are_empty_and_their_names_in_a_text_are_text():
    ids = OURS.ids([f"a{END_OF_TEXT}b"])[0]
    assert ids.tolist().count(0) == 1 and OURS.render(ids)[0] == f"a{END_OF_TEXT}b"
    shown, spans = OURS.render([0, *ids[1:2], 0, *ids[-1:]])
    assert shown == "ab" and spans.tolist() == [[0, 0], [0, 1], [1, 1], [1, 2]]


def test_ids_outside_the_vocabulary_are_shown_as_unknown():
    assert OURS.render([OURS.vocabulary, -1])[0] == "\ufffd\ufffd"


def test_a_tokenizer_that_changes_the_text_keeps_spans_of_the_text_as_given():
    normalising = TextTokenizer(train_tokenizer(TEXTS, 400))
    normalising._tokenizer.normalizer = normalizers.NFC()
    decomposed = "cafe\u0301 de\u0301ja\u0300 🙂 x"
    [(ids, spans)] = normalising.encode([decomposed])
    assert_tiles(spans, len(decomposed))
    assert normalising.render(ids)[0] == "café déjà 🙂 x"
    assert [decomposed[a:b] for a, b in spans.tolist()][-1] == " x"


def test_other_kinds_of_tokenizers_are_shown_by_decoding():
    [(ids, spans)] = WORDS.encode(["The Dragon walked."])
    assert WORDS.bos is None
    assert_tiles(spans, len("The Dragon walked."))
    shown, spans = WORDS.render(ids)
    assert shown.replace(" ", "") == "thedragonwalked."
    assert_tiles(spans, len(shown))


def test_what_stands_in_front_is_end_of_text_or_the_tokenizers_own_beginning():
    assert (OURS.bos, LLAMA.bos) == (0, 1)
    assert OURS._tokenizer.id_to_token(0) == END_OF_TEXT


def test_half_a_surrogate_pair_is_refused_with_its_place():
    with pytest.raises(BadInput, match="Character 3"):
        OURS.ids(["ab\ud83dc"])


def test_training_gives_the_same_tokenizer_again_and_covers_every_byte():
    first, second = (train_tokenizer(iter(TEXTS), 400).to_str() for _ in range(2))
    assert first == second
    assert OURS.vocabulary <= 400 and len(OURS.ids(["The dragon"])[0]) < 6
    every = "".join(map(chr, [*range(0xD800), *range(0xE000, 0x11000)]))
    assert OURS.render(OURS.ids([every])[0])[0] == every
    with pytest.raises(UsageError, match="too small"):
        train_tokenizer(TEXTS, 256)


def test_loading_says_what_is_wrong_with_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    path = tmp_path / "tokenizer.json"
    with pytest.raises(CheckpointError, match="cannot be read"):
        load_tokenizer(path)
    path.write_text('{"hello": 1}')
    with pytest.raises(CheckpointError, match="is not a tokenizer"):
        load_tokenizer(path)
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(CheckpointError, match="cannot be read"):
        load_tokenizer(path)
    OURS._tokenizer.save(str(path))
    assert TextTokenizer(load_tokenizer(path)).ids(["The dragon"])[0].tolist() == OURS.ids(["The dragon"])[0].tolist()
    monkeypatch.setattr("backend.data.texts.bpe.MAX_BYTES", 100)
    with pytest.raises(CheckpointError, match="has .* bytes"):
        load_tokenizer(path)


def test_settings_of_a_foreign_file_do_not_cut_or_pad(tmp_path: Path):
    foreign = train_tokenizer(TEXTS, 400)
    foreign.enable_truncation(4)
    foreign.enable_padding(length=50)
    foreign.save(str(tmp_path / "tokenizer.json"))
    loaded = TextTokenizer(load_tokenizer(tmp_path / "tokenizer.json"))
    assert loaded.render(loaded.ids([TEXTS[0]])[0])[0] == TEXTS[0]
