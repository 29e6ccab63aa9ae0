"""Texts to trees: every bad text is one clear problem with a place, and no text does harm."""

import json
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from cli_multi_rapid.core.plan import Json
from cli_multi_rapid.schema.document import LARGEST, document_of, load_document, read_document
from cli_multi_rapid.schema.problems import Code, Problem, Problems
from cli_multi_rapid.schema.source import Source
from cli_multi_rapid.schema.tree import MOST_ALIASED
from cli_multi_rapid.schema.values import DEEPEST, plain_data
from cli_multi_rapid.schema.yaml_reader import read_yaml
from tests.core.schema_reading import EXAMPLES, document


def problems_of(text: str | bytes, name: str) -> list[Problem]:
    problems = Problems()
    read_document(text, name, problems)
    return list(problems)


BAD_YAML = {
    "unclosed bracket": ("a: [1,\n", Code.SYNTAX, 2, "bracket"),
    "unclosed quote": ('a: "x\ny', Code.SYNTAX, 2, "not closed"),
    "tab as indentation": ("a:\n\tb: 1", Code.SYNTAX, 2, "spaces"),
    "unquoted colon": ("a: b: c", Code.SYNTAX, 1, "quotes"),
    "wrong indentation": ("a:\n  - b\n c: 1", Code.SYNTAX, 3, "indentation"),
    "reserved character": ("a: @b", Code.SYNTAX, 1, "quotes"),
    "key without colon": ("a: 1\nb\nc: 2", Code.SYNTAX, 3, "line above"),
    "duplicate key": ("a: 1\nb: 2\na: 3", Code.DUPLICATE_KEY, 3, "one of the two"),
    "second document": ("a: 1\n---\nb: 1", Code.SEVERAL_DOCUMENTS, 2, "---"),
    "foreign tag": ("a: !!python/object:os.system x", Code.TAG, 1, "remove the tag"),
    "foreign tag on a list": ("a: !!set [x]", Code.TAG, 1, "remove the tag"),
    "alias inside of itself": ("a: &x [*x]", Code.ALIAS, 1, "&x"),
    "merge of a text": ("a: {<<: text, b: 1}", Code.MERGE_KEY, 1, "alias of a mapping"),
    "list as key": ("? [a]\n: 1\nb: 2", Code.BAD_KEY, 1, "quote"),
    "control character": ("a: b\x1b[31m", Code.CHARACTER, 1, "escape"),
    "escaped NUL": ('a: "\\0"', Code.CHARACTER, 1, "remove"),
    "empty": ("", Code.EMPTY, 0, "example"),
    "comments only": ("# nothing\n", Code.EMPTY, 0, "example"),
    "a list": ("[1]", Code.WRONG_TYPE, 1, "keys"),
    "a text": ("hello", Code.WRONG_TYPE, 1, "keys"),
    "null": ("~", Code.WRONG_TYPE, 1, "keys"),
}


FORBIDDEN = [*range(9), 0x0B, 0x0C, *range(0x0E, 0x20), *range(0x7F, 0x85), *range(0x86, 0xA0)]
FORBIDDEN += [0xD800, 0xDFFF, 0xFEFF, 0xFFFE, 0xFFFF]


@pytest.mark.parametrize("beside", ["x", "\u00e9"])
def test_a_character_that_nobody_can_see_is_refused_whatever_stands_beside_it(beside: str) -> None:
    for number in FORBIDDEN:
        for name in ("plan.json", "plan.yaml"):
            (problem,) = problems_of(f'{{"a": "{beside}{chr(number)}"}}', name)
            assert (problem.code, f"U+{number:04X}" in problem.message) == (Code.CHARACTER, True)


@pytest.mark.parametrize("beside", ["x", "\u00e9"])
def test_every_other_character_is_let_through(beside: str) -> None:
    allowed = [" ", "~", "\x85", "\xa0", "\ud7ff", "\ue000", "\ufffd", "\U00010000", "\U0010ffff"]
    assert problems_of(f'{{"a": "{beside}{"".join(allowed)}"}}', "plan.json") == []
    assert problems_of(f'{{\t"a":\r\n"{beside}"}}\n', "plan.json") == []


@pytest.mark.parametrize("case", BAD_YAML)
def test_bad_yaml_is_one_problem_with_a_line_and_what_to_do(case: str) -> None:
    text, code, line, help_word = BAD_YAML[case]
    (problem,) = problems_of(text, "plan.yaml")
    assert (problem.code, problem.line) == (code, line)
    assert help_word in problem.suggestion
    assert problem.message
    assert bool(problem.frame) == bool(line)


BAD_JSON = {
    "trailing comma": ('{"a": 1,}', 9, "comma"),
    "trailing comma in a list": ('{"a": [1,]}', 10, "comma"),
    "missing colon": ('{"a" 1}', 6, "colon"),
    "missing comma": ('{"a": [1 2]}', 10, "comma"),
    "single quotes": ("{'a': 1}", 2, "double quotes"),
    "single quoted value": ("{\"a\": 'x'}", 7, "double quotes"),
    "unquoted text": ('{"a": yes}', 7, "double quotes"),
    "comment": ('{"a": // x\n1}', 7, "yaml"),
    "not a number": ('{"a": NaN}', 7, "finite"),
    "minus infinity": ('{"a": -Infinity}', 7, "finite"),
    "leading zero": ('{"a": 012}', 7, "double quotes"),
    "line break in a text": ('{"a": "x\ny"}', 9, "\\n"),
    "bad escape": ('{"a": "\\q"}', 8, 'close the "'),
    "unterminated text": ('{"a": "x', 7, 'close the "'),
    "unterminated list": ('{"a": [1', 8, "bracket"),
    "nothing after a key": ('{"a":', 5, "brackets"),
    "more behind the end": ('{"a": 1} 2', 10, "remove"),
    "wrong closer": ('{"a": [1}', 9, "bracket"),
}


@pytest.mark.parametrize("case", BAD_JSON)
def test_bad_json_is_one_problem_with_a_column_and_what_to_do(case: str) -> None:
    text, column, help_word = BAD_JSON[case]
    (problem,) = problems_of(text, "plan.json")
    assert (problem.code, problem.column) == (Code.SYNTAX, column), problem.to_text()
    assert help_word in problem.suggestion


def test_duplicate_keys_of_json_are_refused_although_the_standard_reader_takes_the_last() -> None:
    (problem,) = problems_of('{"a": 1,\n "a": 2}', "plan.json")
    assert (problem.code, problem.line, problem.column) == (Code.DUPLICATE_KEY, 2, 2)


def test_half_a_surrogate_pair_is_refused_because_no_file_can_hold_it() -> None:
    assert [p.code for p in problems_of('{"a": "\\ud83d"}', "p.json")] == [Code.CHARACTER]
    assert document('{"a": "\\ud83d\\ude00"}', "p.json").data() == {"a": "😀"}


@pytest.mark.parametrize(
    ("content", "word"),
    [
        (b"\xff\xfea\x00", "UTF-16"),
        (b"a: ok\nb: \xe9\n", "not UTF-8"),
    ],
)
def test_a_file_in_another_encoding_is_refused_with_what_to_do(content: bytes, word: str) -> None:
    (problem,) = problems_of(content, "plan.yaml")
    assert problem.code is Code.ENCODING
    assert word in problem.message
    assert "save the file as UTF-8" in problem.suggestion


def test_the_place_of_a_wrong_byte_is_named() -> None:
    (problem,) = problems_of(b"a: ok\nbb: \xe9\n", "plan.yaml")
    assert (problem.line, problem.column) == (2, 5)


def test_a_byte_order_mark_changes_nothing() -> None:
    assert document("\ufeffa: 1").data() == {"a": 1}
    problems = Problems()
    read = read_document("﻿a: 1".encode(), "doc.yaml", problems)
    assert read is not None
    assert read.data() == {"a": 1}


def test_a_file_that_is_too_large_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "big.yaml"
    with path.open("wb") as file:
        file.truncate(LARGEST + 1)
    problems = Problems()
    assert load_document(path, problems) is None
    assert [p.code for p in problems] == [Code.TOO_LARGE]
    assert [p.code for p in problems_of("a" * (LARGEST + 1), "x.yaml")] == [Code.TOO_LARGE]


def test_a_missing_file_and_a_folder_are_named(tmp_path: Path) -> None:
    problems = Problems()
    assert load_document(tmp_path / "none.yaml", problems) is None
    assert load_document(tmp_path, problems, name="folder") is None
    folder, missing = sorted(problems, key=lambda p: p.file != "folder")
    assert "Is a directory" in folder.to_text()
    assert "No such file" in missing.to_text()
    assert folder.to_text().startswith("folder: error[E001]: cannot be read")


def test_a_yaml_bomb_is_refused_before_it_is_expanded() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]" for i in range(1, 12)]
    (problem,) = problems_of("\n".join(lines), "plan.yaml")
    assert problem.code is Code.TOO_MANY_ALIASES
    assert f"{MOST_ALIASED:,}" in problem.message


@pytest.mark.parametrize("name", ["deep.yaml", "deep.json"])
def test_deep_nesting_is_refused_before_it_can_overflow_a_stack(name: str) -> None:
    (problem,) = problems_of("[" * 100_000, name)
    assert problem.code is Code.TOO_DEEP
    assert problem.column == DEEPEST + 1


def test_anchors_aliases_and_merge_keys_work_for_defaults() -> None:
    text = "x-common: &common {tool: aider, retries: 1}\nn: {<<: *common, retries: 3}\nm: {<<: [*common, ~]}"
    data = document(text).data()
    assert data["n"] == {"tool": "aider", "retries": 3}
    assert data["m"] == {"tool": "aider", "retries": 1}


def test_a_merge_key_is_an_ordinary_key_in_json() -> None:
    assert document('{"<<": {"a": 1}}', "p.json").data() == {"<<": {"a": 1}}


SURPRISES = {
    "no": "no",
    "on": "on",
    "y": "y",
    "012": "012",
    "0o17": "0o17",
    "0x1F": "0x1F",
    "12:30": "12:30",
    "2024-01-01": "2024-01-01",
    "1_000": "1_000",
    ".inf": ".inf",
    ".nan": ".nan",
    "1e999": "1e999",
    "'1'": "1",
    '"true"': "true",
    "!!str 1": "1",
    "! 1": "1",
    "null": None,
    "~": None,
    "": None,
    "true": True,
    "False": False,
    "-3": -3,
    "4.50": 4.5,
    "1e3": 1000.0,
    "0": 0,
    "99999999999999999999999": 1e23,
}


@pytest.mark.parametrize("written", SURPRISES)
def test_plain_scalars_mean_what_json_would_mean_and_nothing_else(written: str) -> None:
    assert document(f"a: {written}").data() == {"a": SURPRISES[written]}


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.json")), ids=lambda path: path.name)
def test_json_is_read_as_the_standard_library_reads_it(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert document(text, "x.json").data() == json.loads(text)
    assert document(text, "x.yaml").data() == json.loads(text)


JSON_VALUES: st.SearchStrategy[Json] = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**17), 10**17)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"])),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=20,
)
KEYS = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=5)


@given(st.dictionaries(KEYS, JSON_VALUES, max_size=5))
def test_every_json_document_is_read_back_unchanged(data: dict[str, Json]) -> None:
    problems = Problems()
    for indent in (None, 1):
        read = read_document(json.dumps(data, indent=indent), "x.json", problems)
        if read is None:  # a NUL in a nested key
            assert {p.code for p in problems} == {Code.CHARACTER}
            return
        assert read.data() == data


def test_plain_data_becomes_a_document_with_places() -> None:
    read = document_of({"a": {"b": 1}}, "flags")
    assert read.name == "flags"
    assert read.place(read.root.entries["a"].value).line == 2
    with pytest.raises(ValueError, match="not JSON compliant"):
        document_of({"a": float("nan")}, "flags")
    with pytest.raises(ValueError, match="NUL"):
        document_of({"a": "\0", "\0": {}}, "flags")


@given(st.text() | st.binary())
def test_no_text_and_no_bytes_crash_a_reader(content: str | bytes) -> None:
    for name in ("x.yaml", "x.json"):
        problems = Problems()
        read = read_document(content, name, problems)
        assert read is not None or problems.error_count
        problems.to_text().encode("utf-8")


@given(st.text(st.sampled_from("{}[],:\"'-?&*!|>%@#\n\t ab01<=~\\"), max_size=40))
def test_no_mix_of_punctuation_crashes_a_reader(text: str) -> None:
    for name in ("x.yaml", "x.json"):
        problems = Problems()
        read = read_document(f"a: {text}", name, problems) or read_document(text, name, problems)
        assert read is not None or problems.error_count


@given(st.text(st.sampled_from("{}[],:\"'-?&*!|>#\n ab0"), max_size=40))
def test_the_readers_with_and_without_libyaml_agree(text: str) -> None:
    source = Source(name="x.yaml", text=f"k: {text}\n")
    fast, pure = Problems(), Problems()
    one = read_yaml(source, fast)
    other = read_yaml(source, pure, loader=yaml.SafeLoader)
    if one is not None and other is not None and not (fast.error_count or pure.error_count):
        assert plain_data(one) == plain_data(other)


def test_places_are_the_same_with_and_without_libyaml() -> None:
    source = Source(name="x.yaml", text='é: "ü"\r\nb:\r\n  - 😀x\r\n  - [y, {z: 1}]\r\n')
    found = [read_yaml(source, Problems(), loader=loader) for loader in (yaml.CSafeLoader, yaml.SafeLoader)]
    assert found[0] == found[1]
    assert found[0] is not None
