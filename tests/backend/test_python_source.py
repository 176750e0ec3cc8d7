"""The standard library's sources as a corpus, against what `tokenize`, `ast` and eyes say."""

from __future__ import annotations

import ast
import io
import sysconfig
import time
import tokenize
from pathlib import Path

import pytest

from backend.analysis.seeds import HELD_OUT_SEED
from backend.data.texts.corpus import Document, Mark
from backend.data.texts.python_source import FIELDS, LEAST, MOST, TARGET, PythonSource, file_truth
from backend.data.texts.python_source_judging import BEHAVIOURS, behaviour_places, behaviours
from backend.errors import BadInput

STDLIB = Path(sysconfig.get_path("stdlib"))
SOURCE = '''\
import os
from é import (b,
    c)

@os.wraps(f, key=1)
class Foo(Base):
    """Doc é."""

    # note
    def bar(self, x: int = 3) -> "str":
        "short"
        with open(x) as f:
            try:
                self.y.z(é=x, s='ä')
            except E:
                pass
        if x:
            return None
        elif y: return """two
lines"""
'''


@pytest.fixture(scope="module")
def corpus() -> PythonSource:
    return PythonSource()


def read(place: str) -> str:
    with tokenize.open(STDLIB / place) as file:
        return file.read()


def marked(field: str, text: str = SOURCE) -> list[tuple[str, str]]:
    return [(text[start:stop], value) for start, stop, one, value in file_truth(text) if one == field]


# -- documents -------------------------------------------------------------------------------------------------------


def test_documents_are_whole_lines_of_the_files_and_together_all_of_each(corpus: PythonSource):
    stretches: dict[str, list[tuple[int, str]]] = {}
    for seed in (0, HELD_OUT_SEED):
        for index in range(corpus.count(seed)):
            document = corpus.document(index, seed)
            module, line = document.tags["place"].rsplit(":", 1)
            assert module == document.tags["module"]
            stretches.setdefault(module, []).append((int(line), document.text))
    assert {"ast.py", "json/decoder.py", "asyncio/base_events.py"} <= stretches.keys()
    for module in ["ast.py", "json/decoder.py", *sorted(stretches)[::97]]:
        text = read(module)
        lines = text.split("\n")
        for line, stretch in stretches[module]:
            assert "\n".join(lines[line - 1 :]).startswith(stretch) and (stretch[-1] == "\n" or text.endswith(stretch))
        shown = "".join(stretch for _, stretch in sorted(stretches[module]))
        assert shown.split() == text.split()
    assert not [name for name in stretches if {"test", "tests", "site-packages", "idle_test"} & set(name.split("/"))]
    lengths = sorted(len(stretch) for parts in stretches.values() for _, stretch in parts)
    assert lengths[-1] <= MOST and LEAST < lengths[len(lengths) // 10]
    assert 0.75 * TARGET < lengths[len(lengths) // 2] < 1.25 * TARGET


def test_stretches_begin_where_a_top_level_statement_does_if_one_is_near(corpus: PythonSource):
    text = read("textwrap.py")
    starts = {node.lineno for node in ast.parse(text).body}
    starts |= {d.lineno for node in ast.parse(text).body for d in getattr(node, "decorator_list", [])}
    comments = {i for i, line in enumerate(text.split("\n"), 1) if line.startswith("#")}
    places = [corpus.document(i, s).tags["place"] for s in (0, HELD_OUT_SEED) for i in range(corpus.count(s))]
    lines = [int(place.split(":")[1]) for place in places if place.startswith("textwrap.py:")]
    assert len(lines) > 5
    near = [line for line in lines if line in starts | comments]
    after_blank = [line for line in lines if line == 1 or not text.split("\n")[line - 2].strip()]
    assert len(near) >= 2 and len(after_blank) > 0.7 * len(
        lines
    )  # some stretches of this file have no blank line in reach


def test_no_file_is_in_both_parts(corpus: PythonSource):
    train, held = (
        {corpus.document(i, seed).tags["module"] for i in range(corpus.count(seed))} for seed in (3, HELD_OUT_SEED)
    )
    assert not train & held and len(held) > 20


def test_listing_and_a_first_document_take_seconds_at_most():
    began = time.process_time()
    corpus = PythonSource()
    assert corpus.document(0, 0).marks
    assert time.process_time() - began < 6


def test_a_folder_without_sources_says_so(tmp_path: Path):
    (tmp_path / "empty.py").write_text("\n")
    (tmp_path / "notes.txt").write_text("x = 1")
    with pytest.raises(BadInput, match="no Python sources"):
        PythonSource(tmp_path).document(0, 0)


# -- truth -----------------------------------------------------------------------------------------------------------


def test_marks_of_a_stretch_are_those_of_its_file(corpus: PythonSource):
    document = corpus.document(11, 0)
    text = read(document.tags["module"])
    begin = sum(len(line) + 1 for line in text.split("\n")[: int(document.tags["place"].split(":")[1]) - 1])
    end = begin + len(document.text)
    expected = {
        Mark(max(a, begin) - begin, min(b, end) - begin, field, value)
        for a, b, field, value in file_truth(text)
        if a < end and b > begin
    }
    assert set(document.marks) == expected and len(expected) > 100
    assert {mark.field for mark in document.marks} <= set(FIELDS)


def test_the_syntax_of_library_files_is_what_tokenize_says(corpus: PythonSource):
    for name in ("ast.py", "textwrap.py", "json/decoder.py", "locale.py"):
        text = read(name)
        shown: dict[str, list[str]] = {}
        for piece, value in marked("syntax", text):
            shown.setdefault(value, []).append(piece)
        tokens = list(tokenize.generate_tokens(io.StringIO(text).readline))
        assert shown["comment"] == [t.string for t in tokens if t.type == tokenize.COMMENT]
        assert shown["number"] == [t.string for t in tokens if t.type == tokenize.NUMBER]
        names = [t.string for t in tokens if t.type == tokenize.NAME]
        assert len(shown["name"]) + len(shown["keyword"]) == len(names)
        documented = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef
        docstrings = [ast.get_docstring(n, clean=False) for n in ast.walk(ast.parse(text)) if isinstance(n, documented)]
        said = [ast.literal_eval(piece) for piece in shown["docstring"]]
        assert sorted(said) == sorted(d for d in docstrings if d is not None)
        defined = [
            (n.name, type(n)) for n in ast.walk(ast.parse(text)) if isinstance(n, documented) and hasattr(n, "name")
        ]
        assert sorted(piece for piece, _ in marked("definition", text)) == sorted(name for name, _ in defined)


def test_definitions_imports_roles_and_keywords_are_marked_on_their_own_characters():
    assert marked("definition") == [("Foo", "class"), ("bar", "function")]
    assert marked("import") == [("import os", "import"), ("from é import (b,\n    c)", "from")]
    assert sorted(marked("role")) == sorted(
        [
            ("os.wraps", "decorator"),
            ("key", "argument name"),
            ("self", "parameter"),
            ("x", "parameter"),
            ("open", "call"),
            ("y", "attribute"),
            ("z", "call"),
            ("é", "argument name"),
            ("s", "argument name"),
        ]
    )
    keywords = "import from import class def with as try except pass if return None elif return".split()
    assert marked("keyword") == [(word, word) for word in keywords]
    assert [piece for piece, value in marked("syntax") if value == "docstring"] == ['"""Doc é."""', '"short"']
    strings = [piece for piece, value in marked("syntax") if value == "string"]
    assert strings == ['"str"', "'ä'", '"""two\nlines"""']


def innermost(field: str, piece: str) -> str:
    """The value at the first place of `piece`."""
    place = SOURCE.index(piece)
    covering = [(b - a, v) for a, b, one, v in file_truth(SOURCE) if one == field and a <= place < b]
    return min(covering)[1]


def test_blocks_and_depths_are_those_of_the_line():
    blocks = {
        "import os": "module",
        "@os.wraps": "class",
        '"""Doc': "class",
        "# note": "class",
        "def bar": "function",
        "with open": "with",
        "self.y": "try",
        "pass": "except",
        "return None": "if",
    }
    assert {piece: innermost("block", piece) for piece in blocks} == blocks
    depths = {"import": "0", "    c)": "0", '"""Doc': "1", "# note": "1", '"short"': "2", "self.y": "4", "except": "3"}
    assert {piece: innermost("indent", piece) for piece in depths} == depths
    assert innermost("indent", "lines") == "2"
    assert ("    ", "indent") in marked("syntax") and [p for p, v in marked("syntax") if v == "newline"].count(
        "\n"
    ) > 15


def test_a_file_that_does_not_parse_has_no_truth():
    assert file_truth("def f(:\n  'x") == []
    assert Document("def f(:").marks == ()


# -- judging code ----------------------------------------------------------------------------------------------------


def test_behaviours_agree_with_tokenize_and_ast_over_the_library():
    for name in ("ast.py", "textwrap.py", "json/decoder.py", "locale.py", "dataclasses.py", "_pyio.py", "shutil.py"):
        text = read(name)
        found = behaviours(text)
        tokens = list(tokenize.generate_tokens(io.StringIO(text).readline))
        nodes = list(ast.walk(ast.parse(text)))
        assert found.keys() == BEHAVIOURS.keys()
        assert found["comment"] == sum(t.type == tokenize.COMMENT for t in tokens), name
        assert found["number"] == sum(t.type == tokenize.NUMBER for t in tokens), name
        assert found["import"] == sum(isinstance(n, ast.Import | ast.ImportFrom) for n in nodes), name
        assert found["class"] == sum(isinstance(n, ast.ClassDef) for n in nodes), name
        assert found["function"] == sum(isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef) for n in nodes), name
        lone = [n for n in nodes if isinstance(n, ast.Expr) and isinstance(n.value, ast.Constant)]
        assert found["docstring"] == sum(isinstance(n.value.value, str) for n in lone), name
        decorators = sum(len(getattr(n, "decorator_list", [])) for n in nodes)
        assert found["decorator"] == decorators, name


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("", {}),
        ('    """Return the', {"docstring": 1}),
        ('    """Return."""\n    x = "a', {"docstring": 1, "string": 1}),
        ("x = 'it\n# done", {"string": 1, "comment": 1}),
        ("    return x\n  import os\nclass", {"return": 1, "import": 1, "class": 1}),
        ("x = '# no' + \"import os\"\n", {"string": 2}),
        ("f(\n  'class',\n  import_it)\n", {"string": 1}),
        ('"""a""".join(b)\n', {"string": 1}),
        ("'''class A:\nimport os\n", {"docstring": 1}),
        (r"x = 'a\'# b' # c", {"string": 1, "comment": 1}),
        ("important = classes\n", {}),
        ("async def f(): pass\n@g\nfor i in 0x1F, 1e-5: pass", {"function": 1, "decorator": 1, "loop": 1, "number": 2}),
        (")]}\nimport os; import re\nif x:\n", {"import": 2, "condition": 1}),
        ("rb'x', f\"y\"\n", {"string": 2}),
        ("try:\n    raise E\nexcept E:\n    yield", {"exception": 3, "return": 1}),
    ],
)
def test_code_that_is_cut_off_or_wrong_is_judged_all_the_same(code: str, expected: dict[str, int]):
    assert {name: count for name, count in behaviours(code).items() if count} == expected


def test_what_is_judged_is_found_where_it_stands():
    code = '"""Doc."""\nimport os  # why\nclass A:\n    "x".join(y)\n    return 1\n'
    pieces = sorted((start, name, code[start:stop]) for name, (start, stop) in behaviour_places(code))
    assert [(name, piece) for _, name, piece in pieces] == [
        ("docstring", '"""Doc."""'),
        ("import", "import"),
        ("comment", "# why"),
        ("class", "class"),
        ("string", '"x"'),
        ("return", "return"),
        ("number", "1"),
    ]
