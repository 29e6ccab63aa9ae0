"""Path claims: which of them conflict, what they cover, and what a change may touch."""

from collections.abc import Sequence
from itertools import combinations

import pytest
from hypothesis import given
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
    paths_outside,
    suggest_claim,
)
from cli_multi_rapid.core.ids import NodeId
from tests.core.glob_language import ANY_GLOBS, PATHS, claims

NOT_UTF8 = "caf\udce9"  # what the file name b"caf\xe9" becomes


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

    @given(st.lists(ANY_GLOBS, max_size=3), st.lists(st.sampled_from(PATHS), max_size=5))
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
