"""Globs, compared with brute force over all short paths of a small alphabet."""

from itertools import product

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from cli_multi_rapid.core.claims import (
    InvalidGlob,
    covered,
    parse_glob,
)
from cli_multi_rapid.core.globs import LONGEST_GLOB
from tests.core.glob_language import (
    ANY_GLOBS,
    PART_GLOBS,
    PATH_GLOBS,
    PATHS,
    SETS_OF_GLOBS,
    WORDS,
    claims,
    language,
)

NOT_UTF8 = "caf\udce9"  # what the file name b"caf\xe9" becomes


class TestMatching:
    @pytest.mark.parametrize(
        ("glob", "path"),
        [
            ("README.md", "README.md"),
            ("*.md", "README.md"),
            ("*", ".env"),
            ("src/**", "src/a"),
            ("src/**", "src/a/b"),
            ("src/", "src/a/b"),
            ("**", "a"),
            ("**", "a/b"),
            ("a/**/z", "a/z"),
            ("a/**/z", "a/b/z"),
            ("a/**/**/z", "a/z"),
            ("**/z", "z"),
            ("**/*.py", "a/b/c.py"),
            ("scripts/run_*.py", "scripts/run_all.py"),
            ("a?c", "abc"),
            ("a?c", "a\nc"),
            ("[a-c]x", "bx"),
            ("[!a-c]x", "dx"),
            ("[]a]", "]"),
            ("[!]a]", "b"),
            ("[a-]", "-"),
            ("[[]id].tsx", "[id].tsx"),
            ("[*]", "*"),
            ("{{cookiecutter.slug}}/**", "{{cookiecutter.slug}}/setup.py"),
            ("*", NOT_UTF8),
            ("caf?", NOT_UTF8),
            (NOT_UTF8, NOT_UTF8),
            (f"{NOT_UTF8}/**", f"{NOT_UTF8}/a"),
            ("[\udce0-\udcef]", "\udce9"),
            ("ä*", "äö"),
        ],
    )
    def test_a_claim_covers_the_paths_it_describes(self, glob: str, path: str) -> None:
        assert parse_glob(glob).matches(path)

    @pytest.mark.parametrize(
        ("glob", "path"),
        [
            ("*.md", "docs/README.md"),
            ("*.md", "README.MD"),
            ("src/**", "src"),
            ("src/**", "src/"),
            ("src/**", "srcs/a"),
            ("src/*", "src/a/b"),
            ("a/**/z", "a"),
            ("a/**/z", "z"),
            ("a/**/z", "a/bz"),
            ("a?c", "a/c"),
            ("a[!b]c", "a/c"),
            ("a[+-9]c", "a/c"),
            ("ab*ba", "aba"),
            ("[!a-c]x", "ax"),
            ("**", ""),
            ("**", "a//b"),
            ("**", "/a"),
            ("**", "a/../../etc"),
            ("**", "./a"),
            ("[.]/a", "./a"),
            ("src/a", "src/a/b"),
            ("caf[!\udce9]", NOT_UTF8),
        ],
    )
    def test_a_claim_covers_nothing_else(self, glob: str, path: str) -> None:
        assert not parse_glob(glob).matches(path)

    @given(PART_GLOBS | PATH_GLOBS)
    def test_matching_agrees_with_regular_expressions(self, glob: str) -> None:
        parsed = parse_glob(glob)
        assert {path for path in (*WORDS, *PATHS) if parsed.matches(path)} == language(glob)

    @given(st.text(st.characters(exclude_characters="/\0"), min_size=1, max_size=8))
    def test_any_file_name_is_matched_by_question_marks_and_stars(self, name: str) -> None:
        assume(name not in {".", ".."})
        assert parse_glob("*").matches(name)
        assert parse_glob("?" * len(name)).matches(name)
        assert parse_glob("x/**/" + "?" * len(name)).matches(f"x/y/{name}")

    def test_hostile_patterns_on_a_megabyte_come_back(self) -> None:
        assert not parse_glob("*a" * 2046 + "[bc]").matches("a" * 1_000_000)
        assert parse_glob("*a" * 2047 + "?*").matches("a" * 10_000)
        assert not parse_glob("**/?a*/" * 500 + "?c*").matches("aa/" * 10_000 + "cb")


class TestReading:
    @pytest.mark.parametrize(
        ("text", "reason"),
        [
            ("", "is empty"),
            ("/src", "starts with /"),
            ("/", "starts with /"),
            ("!src/**", "starts with !"),
            ("./src", "part `.`"),
            (".", "part `.`"),
            ("src/./a", "part `.`"),
            ("../src", "part `..`"),
            ("src/..", "part `..`"),
            ("src//a", "empty part"),
            ("src//", "empty part"),
            ("src\\a", "backslash"),
            ("src\0", "control character"),
            ("src\n", "control character"),
            ("src\x7f", "control character"),
            ("src\x85", "control character"),
            ("a**", "must be a whole part"),
            ("src/**.py", "must be a whole part"),
            ("***", "must be a whole part"),
            ("a[b", "[ without ]"),
            ("a[]", "[ without ]"),
            ("a[!]", "[ without ]"),
            ("a[b/c]", "[ without ]"),
            ("[^a]", "[!...]"),
            ("[[:alpha:]]", "named class"),
            ("[z-a]", "the wrong way round"),
            ("src/*.{js,ts}", "not expanded"),
            ("a" * (LONGEST_GLOB + 1), "longer than 4096"),
            ("*" * 1_000_000, "longer than 4096"),
        ],
    )
    def test_a_bad_glob_is_refused_with_its_reason(self, text: str, reason: str) -> None:
        with pytest.raises(InvalidGlob) as caught:
            parse_glob(text)
        assert reason in caught.value.reason
        assert caught.value.reason in str(caught.value)
        assert len(str(caught.value)) < 400

    def test_the_message_of_a_bad_glob_can_be_printed_whatever_the_text(self) -> None:
        with pytest.raises(InvalidGlob) as caught:
            parse_glob(f"/{NOT_UTF8}")
        assert str(caught.value).encode("ascii")

    @pytest.mark.parametrize(
        ("text", "prefix"),
        [
            ("src/auth/**", ("src", "auth")),
            ("src/", ("src",)),
            ("src/auth/*.py", ("src", "auth")),
            ("a/**/z", ("a",)),
            ("*.md", ()),
            ("README.md", ("README.md",)),
            ("a/b", ("a", "b")),
        ],
    )
    def test_the_literal_prefix_is_the_folder_that_a_glob_stays_in(
        self, text: str, prefix: tuple[str, ...]
    ) -> None:
        assert parse_glob(text).literal_prefix == prefix

    def test_globs_are_equal_when_their_texts_are(self) -> None:
        assert parse_glob("src/**") == parse_glob("src/**")
        assert parse_glob("src/**") != parse_glob("src/")


class TestOverlap:
    @pytest.mark.parametrize(
        ("one", "other"),
        [
            ("src/**", "src/auth/*.py"),
            ("*.md", "README.md"),
            ("src/", "src/**"),
            ("src/a*", "src/*b"),
            ("[a-f]*", "[!b-z]?"),
            ("**/test_*.py", "tests/**"),
            ("a/**/z", "a/*"),
            ("*", "**/x"),
            ("a/**/b/**/c", "a/c/*/c"),
        ],
    )
    def test_claims_on_a_common_path_overlap(self, one: str, other: str) -> None:
        assert parse_glob(one).overlaps(parse_glob(other))
        assert parse_glob(other).overlaps(parse_glob(one))

    @pytest.mark.parametrize(
        ("one", "other"),
        [
            ("a/**/z", "a/*/y"),
            ("src/**", "src"),
            ("src/**", "tests/**"),
            ("src/*", "src/*/*"),
            ("*.md", "docs/*.md"),
            ("[a-f]", "[!a-f]"),
            ("ab*", "[!a]*"),
            ("README.md", "readme.md"),
            ("a/**/b/**/c", "a/c/*"),
        ],
    )
    def test_claims_without_a_common_path_do_not(self, one: str, other: str) -> None:
        assert not parse_glob(one).overlaps(parse_glob(other))
        assert not parse_glob(other).overlaps(parse_glob(one))

    @given(SETS_OF_GLOBS)
    def test_overlap_is_exactly_a_path_in_common(self, globs: list[str]) -> None:
        for one, other in product(globs, repeat=2):
            expected = not language(one).isdisjoint(language(other))
            assert parse_glob(one).overlaps(parse_glob(other)) is expected, (one, other)

    @given(ANY_GLOBS, ANY_GLOBS)
    def test_overlap_is_symmetric_and_every_glob_overlaps_itself(self, one: str, other: str) -> None:
        assert parse_glob(one).overlaps(parse_glob(one))
        assert parse_glob(one).overlaps(parse_glob(other)) is parse_glob(other).overlaps(parse_glob(one))

    def test_hostile_patterns_are_compared(self) -> None:
        assert parse_glob("*a" * 2000).overlaps(parse_glob("*b" * 2000 + "*a"))
        assert not parse_glob("*a" * 2000).overlaps(parse_glob("*a" * 2000 + "*[bc]"))
        assert parse_glob("**/?a*/" * 500).overlaps(parse_glob("**/*b?/" * 500))


class TestInclusion:
    @pytest.mark.parametrize(
        ("outer", "inner"),
        [
            ("src/**", "src/auth/oauth.py"),
            ("src/**", "src/auth/*.py"),
            ("src/**", "src/"),
            ("src/", "src/**"),
            ("**", "a/**/b"),
            ("**/*", "**"),
            ("**/*", "*/**"),
            ("?*", "*"),
            ("*?", "?*"),
            ("*", "[ab]*"),
            ("[!a]", "[b-z]"),
            ("a/**/z", "a/**/b/**/z"),
            ("*a*", "b*a?"),
            ("[a]b", "ab"),
            ("ab", "[a]b"),
            ("**/[a]/**", "x/a/y"),
        ],
    )
    def test_a_claim_contains_what_lies_wholly_inside(self, outer: str, inner: str) -> None:
        assert parse_glob(outer).contains(parse_glob(inner))

    @pytest.mark.parametrize(
        ("outer", "inner"),
        [
            ("src/auth/**", "src/**"),
            ("src/*", "src/**"),
            ("src/**", "src"),
            ("*.py", "*"),
            ("**/*.py", "**"),
            ("[ab]*", "*"),
            ("a/**/z", "a/**"),
            ("?", "??"),
            ("[!a]", "?"),
            ("*/**", "**/*"),
        ],
    )
    def test_a_claim_does_not_contain_what_reaches_outside(self, outer: str, inner: str) -> None:
        assert not parse_glob(outer).contains(parse_glob(inner))

    @given(SETS_OF_GLOBS)
    def test_inclusion_is_exactly_a_subset_of_the_paths(self, globs: list[str]) -> None:
        for outer, inner in product(globs, repeat=2):
            assert parse_glob(outer).contains(parse_glob(inner)) is (language(inner) <= language(outer)), (
                outer,
                inner,
            )

    @given(SETS_OF_GLOBS)
    def test_an_output_is_covered_when_the_claims_together_hold_all_its_paths(self, globs: list[str]) -> None:
        *outers, inner = globs
        expected = language(inner) <= frozenset().union(*map(language, outers))
        assert covered(inner, claims(*outers)) is expected

    @given(ANY_GLOBS, ANY_GLOBS)
    def test_what_is_contained_overlaps(self, one: str, other: str) -> None:
        if parse_glob(one).contains(parse_glob(other)):
            assert parse_glob(one).overlaps(parse_glob(other))

    def test_it_says_no_rather_than_search_for_ever(self) -> None:
        def claimed(size: int) -> bool:
            before_the_end = claims("*a" + "[ab]" * size, "*b" + "[ab]" * size)
            return covered("[ab]" * (3 * size), before_the_end)

        assert claimed(6)
        assert not claimed(40)  # it is true, and the proof needs 2 ** 40 steps

    def test_hostile_patterns_are_compared(self) -> None:
        many = "".join(f"*[{chr(code)}a]" for code in range(0x4E00, 0x4E00 + 200))
        assert parse_glob(many).contains(parse_glob(many.replace("*", "?")))
        assert not parse_glob(many).contains(parse_glob("*" + many.replace("*[", "?[") + "/b"))
        assert not parse_glob(many + "b").contains(parse_glob("?" + many + "?"))
        distinct = "*".join(chr(code) for code in range(0x4E00, 0x4E00 + 600))
        assert not parse_glob(f"*{distinct}*").contains(parse_glob("?" * 1_000))
