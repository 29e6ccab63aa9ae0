"""What a verdict is about: the same key for the same content, and another one for anything else."""

import json

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from cli_multi_rapid.core.events import payload_from_data, payload_to_data
from cli_multi_rapid.core.globs import parse_glob
from cli_multi_rapid.core.ids import CheckId, Commit, EntryId, Tree
from cli_multi_rapid.core.merge_events import MergeChecking
from cli_multi_rapid.core.plan import CheckSpec
from cli_multi_rapid.core.queue_intents import Tip
from cli_multi_rapid.core.shared_inputs import is_shared
from cli_multi_rapid.core.verdicts import Inputs, InputsDigest, TreeFile, inputs_digest, key_of, verdict_key

TESTS = CheckSpec(id=CheckId("tests"), argv=("pytest",), inputs=("src/**", "*.md"))
GLOBS = st.lists(
    st.sampled_from(
        ("src/**", "src/", "src/*", "**", "**/*.py", "src", "a/**/z", "src/a.py", "*.md", "s*/**", "src/**/")
    ),
    min_size=1,
    max_size=3,
)
PATHS = st.sampled_from(
    (
        *(
            "src/a.py",
            "src/b/c.py",
            "src",
            "srcs/a.py",
            "a/z",
            "a/b/z",
            "docs/a.md",
            "a.md",
            "b.py",
            "src/\udcff",
        ),
        *("uv.lock", "deep/down/uv.lock", "conftest.py", "x/conftest.py", "config/orchestrator.yaml"),
        *("x/config/orchestrator.yaml", "requirements-dev.txt", "x/requirements.txt", "tsconfig.build.json"),
    )
)
FILES = st.dictionaries(
    PATHS, st.tuples(st.sampled_from(("100644", "100755", "120000", "160000")), st.sampled_from(("1a", "2b")))
)


def listing(files: dict[str, tuple[str, str]]) -> list[TreeFile]:
    return [TreeFile(path, mode, oid) for path, (mode, oid) in files.items()]


def counting(globs: list[str], files: dict[str, tuple[str, str]]) -> set[TreeFile]:
    """What the globs and the list of shared inputs say, one file at a time."""
    return {
        file
        for file in listing(files)
        if is_shared(file.path) or any(parse_glob(glob).matches(file.path) for glob in globs)
    }


@given(GLOBS, FILES, FILES, st.data())
def test_the_digest_is_the_same_exactly_when_the_counting_files_are(
    globs: list[str], one: dict[str, tuple[str, str]], change: dict[str, tuple[str, str]], data: st.DataObject
) -> None:
    gone = data.draw(st.sets(st.sampled_from(sorted(one)))) if one else set()
    other = {path: facts for path, facts in one.items() if path not in gone} | change
    check = replace(TESTS, inputs=tuple(globs))
    shuffled = data.draw(st.permutations(listing(other)))
    same = counting(globs, one) == counting(globs, other)
    assert (inputs_digest(check, listing(one)) == inputs_digest(check, shuffled)) is same


@given(GLOBS, FILES)
def test_globs_of_whole_folders_match_what_they_match_everywhere(
    globs: list[str], files: dict[str, tuple[str, str]]
) -> None:
    inputs = Inputs(globs)
    for path in files:
        assert inputs.declare(path) is any(parse_glob(glob).matches(path) for glob in globs)
    assert set(inputs.pick(listing(files))) == counting(globs, files)


def test_two_checks_with_the_same_command_and_other_inputs_have_other_keys() -> None:
    tip = Tip(
        commit=Commit("c"),
        tree=Tree("t"),
        contents=(
            InputsDigest(inputs=("src/**",), digest="1"),
            InputsDigest(inputs=("src/**", "docs/**"), digest="1"),
        ),
    )
    checks = [replace(TESTS, inputs=part.inputs) for part in tip.contents]
    checks.append(replace(TESTS, inputs=()))
    assert len({key_of(check, tip, "") for check in checks}) == 3


def test_the_order_of_the_inputs_does_not_matter_to_the_key() -> None:
    turned = replace(TESTS, inputs=TESTS.inputs[::-1])
    assert verdict_key(TESTS, "digest", "") == verdict_key(turned, "digest", "")


def test_a_check_whose_inputs_are_not_known_of_a_tree_is_keyed_by_the_whole_tree() -> None:
    one, other = (Tip(commit=Commit("c"), tree=Tree(tree)) for tree in "ab")
    assert key_of(TESTS, one, "") != key_of(TESTS, other, "")
    known = (InputsDigest(inputs=TESTS.inputs, digest="d"),)
    assert key_of(TESTS, replace(one, contents=known), "") == key_of(
        TESTS, replace(other, contents=known), ""
    )


def test_a_candidate_of_an_old_log_is_read_and_has_no_contents() -> None:
    fact = MergeChecking(entries=(EntryId("e"),), tip=Commit("c"), commit=Commit("d"), tree=Tree("t"))
    told = replace(fact, contents=(InputsDigest(inputs=("src/**",), digest="d"),))
    for payload in (fact, told):
        written = json.loads(json.dumps(payload_to_data(payload)))
        assert payload_from_data(payload.type, payload.version, written) == payload
    assert "contents" not in payload_to_data(fact)


def test_shared_inputs_are_found_by_name_in_any_folder_and_by_path_at_their_place() -> None:
    shared = ["uv.lock", "a/b/Cargo.lock", "pyproject.toml", "a/package.json", "tests/conftest.py", ".bandit"]
    shared += [
        "config/orchestrator.yaml",
        "requirements-test.txt",
        "app/tsconfig.app.json",
        "a/.gitattributes",
    ]
    other = ["a/config/orchestrator.yaml", "src/lock.py", "README.md", "pyproject.toml.md", "myconftest.py"]
    other += ["pyproject.toml/x.py", "requirements.md", "eslint.configs/a"]
    assert [path for path in shared + other if is_shared(path)] == shared
