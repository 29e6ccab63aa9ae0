"""Claims and the globs in them, compared with brute force over all short paths of a small alphabet."""

import re
from collections.abc import Sequence
from functools import cache
from itertools import combinations, product

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from cli_multi_rapid.core.claims import (
    ClaimMode,
    InvalidGlob,
    Overlap,
    PathClaim,
    conflict,
    covered,
    find_overlaps,
    first_conflict,
    parse_glob,
    paths_outside,
    suggest_claim,
)
from cli_multi_rapid.core.globs import LONGEST_GLOB
from cli_multi_rapid.core.ids import NodeId

NOT_UTF8 = "caf\udce9"  # what the file name b"caf\xe9" becomes


def claims(*texts: str, mode: ClaimMode = ClaimMode.EXCLUSIVE) -> list[PathClaim]:
    return [PathClaim(path=text, mode=mode) for text in texts]


# An independent reading of the rules: a translation to regular expressions, tried on all short paths.

_WORDS = ["".join(chars) for size in range(1, 6) for chars in product("abx", repeat=size)]
_PATHS = ["/".join(parts) for size in range(1, 6) for parts in product(("a", "b", "ab", "x"), repeat=size)]
_CLASSES = {"[ab]": "[ab]", "[!a]": "[^a/]", "[!ab]": "[^ab/]", "[a-b]": "[ab]", "?": "[^/]", "*": "[^/]*"}
_TOKEN = re.compile(r"\[.*?\]|.")


def _regex(glob: str) -> str:
    parts = glob.split("/")
    text = ""
    for at, part in enumerate(parts):
        if part == "**":
            text += "(?:[^/]+/)*" if at < len(parts) - 1 else "[^/]+(?:/[^/]+)*"
        else:
            text += "(?=[^/])" + "".join(_CLASSES.get(token, token) for token in _TOKEN.findall(part))
            text += "/" if at < len(parts) - 1 else ""
    return text


@cache
def language(glob: str) -> frozenset[str]:
    """The short paths that a glob matches, by the translation."""
    pattern = re.compile(_regex(glob))
    return frozenset(path for path in (*_WORDS, *_PATHS) if pattern.fullmatch(path))


def _part(*tokens: str) -> st.SearchStrategy[str]:
    joined = st.lists(st.sampled_from(tokens), min_size=1, max_size=3).map("".join)
    return joined.filter(lambda part: "**" not in part)


PART_GLOBS = _part("a", "b", "?", "*", "[ab]", "[!a]", "[!ab]", "[a-b]")
PATH_GLOBS = st.lists(st.sampled_from(("a", "b", "*", "a*", "**")), min_size=1, max_size=3).map("/".join)
SETS_OF_GLOBS = st.lists(PART_GLOBS, min_size=4, max_size=4) | st.lists(PATH_GLOBS, min_size=4, max_size=4)
ANY_GLOBS = st.lists(
    _part("a", "b", ".py", "?", "*", "[ab]", "[!a]") | st.just("**"), min_size=1, max_size=4
).map("/".join)


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
        assert {path for path in (*_WORDS, *_PATHS) if parsed.matches(path)} == language(glob)

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


class TestConflict:
    EXCLUSIVE, SHARED, READ = ClaimMode.EXCLUSIVE, ClaimMode.SHARED, ClaimMode.READ

    @pytest.mark.parametrize(
        ("one", "other", "expected"),
        [
            (EXCLUSIVE, EXCLUSIVE, True),
            (EXCLUSIVE, SHARED, True),
            (SHARED, EXCLUSIVE, True),
            (SHARED, SHARED, False),
            (READ, READ, False),
            (READ, SHARED, False),
            (EXCLUSIVE, READ, False),
            (READ, EXCLUSIVE, False),
        ],
    )
    def test_overlapping_claims_conflict_by_their_modes(
        self, one: ClaimMode, other: ClaimMode, expected: bool
    ) -> None:
        first, second = PathClaim(path="src/**", mode=one), PathClaim(path="src/auth/*.py", mode=other)
        assert conflict(first, second) is expected

    def test_claims_apart_never_conflict(self) -> None:
        assert not conflict(PathClaim(path="a/**/z"), PathClaim(path="a/*/y"))

    def test_a_claim_is_exclusive_unless_it_says_otherwise(self) -> None:
        assert PathClaim(path="a").mode is ClaimMode.EXCLUSIVE
        assert PathClaim(path="a").writes
        assert not PathClaim(path="a", mode=ClaimMode.READ).writes

    def test_the_first_conflicting_pair_is_named(self) -> None:
        mine = claims("docs/**", "src/**")
        theirs = claims("tests/**", "src/a", "docs/a")
        assert first_conflict(mine, theirs) == (mine[0], theirs[2])
        assert first_conflict(mine, theirs[:1]) is None


def overlap(first: str, second: str, first_claim: PathClaim, second_claim: PathClaim) -> Overlap:
    return Overlap(
        first=NodeId(first), second=NodeId(second), first_claim=first_claim, second_claim=second_claim
    )


class TestFindOverlaps:
    def test_each_conflicting_pair_comes_once_with_both_claims(self) -> None:
        by_node = {
            NodeId("api"): claims("src/api/**", "README.md"),
            NodeId("docs"): claims("docs/**", "*.md"),
            NodeId("all"): claims("src/**", "docs/a.md"),
            NodeId("look"): claims("**", mode=ClaimMode.READ),
            NodeId("free"): [],
        }
        assert find_overlaps(by_node) == [
            overlap("api", "docs", *claims("README.md", "*.md")),
            overlap("api", "all", *claims("src/api/**", "src/**")),
            overlap("docs", "all", *claims("docs/**", "docs/a.md")),
        ]

    def test_shared_claims_lie_side_by_side(self) -> None:
        shared = claims("src/**", mode=ClaimMode.SHARED)
        assert find_overlaps({NodeId("a"): shared, NodeId("b"): shared}) == []

    def test_a_node_does_not_conflict_with_itself(self) -> None:
        assert find_overlaps({NodeId("a"): claims("src/**", "src/a", "src/**")}) == []

    def test_nodes_with_the_same_claims_all_conflict(self) -> None:
        same = claims("docs/**", "src/**")
        found = find_overlaps({NodeId(name): same for name in "abc"})
        assert found == [overlap(first, second, same[0], same[0]) for first, second in ("ab", "ac", "bc")]

    def test_a_bad_claim_is_refused(self) -> None:
        with pytest.raises(InvalidGlob):
            find_overlaps({NodeId("a"): claims("/src")})

    @given(
        st.lists(
            st.lists(st.builds(PathClaim, path=ANY_GLOBS, mode=st.sampled_from(ClaimMode)), max_size=3),
            max_size=6,
        )
    )
    def test_the_index_finds_what_comparing_all_pairs_finds(self, held: list[list[PathClaim]]) -> None:
        by_node = {NodeId(f"n{at}"): node for at, node in enumerate(held)}
        expected = [
            overlap(first, second, *pair)
            for first, second in combinations(by_node, 2)
            if (pair := first_conflict(by_node[first], by_node[second]))
        ]
        assert find_overlaps(by_node) == expected

    def test_a_thousand_nodes_on_their_own_folders_are_not_compared_pair_by_pair(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        compared = 0

        def counting(a: PathClaim, b: PathClaim) -> bool:
            nonlocal compared
            compared += 1
            return conflict(a, b)

        monkeypatch.setattr("cli_multi_rapid.core.claims.conflict", counting)
        by_node = {NodeId(f"n{at}"): claims(f"src/m{at}/**", f"tests/test_m{at}_*.py") for at in range(1000)}
        assert find_overlaps(by_node) == []
        assert compared == 2000  # each with itself


class TestAudit:
    def test_changed_paths_outside_the_claims_are_named_in_order(self) -> None:
        held = [*claims("src/auth/**", "README.md"), *claims("docs/", mode=ClaimMode.READ)]
        changed = ["src/auth/a.py", "setup.py", "README.md", "docs/a.md", "src/auth", NOT_UTF8]
        assert paths_outside(changed, held) == ["setup.py", "docs/a.md", "src/auth", NOT_UTF8]

    def test_without_writing_claims_everything_is_outside(self) -> None:
        assert paths_outside(["a"], claims("**", mode=ClaimMode.READ)) == ["a"]
        assert paths_outside([], claims("**")) == []

    @given(st.lists(ANY_GLOBS, max_size=3), st.lists(st.sampled_from(_PATHS), max_size=5))
    def test_a_path_is_outside_when_no_claim_covers_it(self, texts: Sequence[str], paths: list[str]) -> None:
        outside = paths_outside(paths, claims(*texts))
        assert outside == [path for path in paths if not covered(path, claims(*texts))]


class TestOutputs:
    @pytest.mark.parametrize(
        ("output", "suggestion"),
        [
            ("src/middleware/auth.py", "src/middleware/**"),
            ("README.md", "README.md"),
            ("docs/", "docs/**"),
            ("docs/**", "docs/**"),
            ("src/auth/*.py", "src/auth/**"),
            ("*.md", "*.md"),
            ("a/**/z", "a/**"),
            ("app/[id].tsx", "app/**"),
        ],
    )
    def test_the_claim_to_add_is_the_folder_of_the_output(self, output: str, suggestion: str) -> None:
        assert suggest_claim(output) == suggestion

    @given(ANY_GLOBS)
    def test_the_suggested_claim_covers_the_output(self, output: str) -> None:
        assert covered(output, claims(suggest_claim(output)))

    def test_reading_does_not_cover_an_output(self) -> None:
        assert not covered("src/a", claims("src/**", mode=ClaimMode.READ))
        assert not covered("src/a", [])

    def test_an_output_that_is_no_glob_is_refused(self) -> None:
        with pytest.raises(InvalidGlob):
            covered("../a", claims("**"))
        with pytest.raises(InvalidGlob):
            suggest_claim("/a")
