"""What an agent is told: one template for each role, everything that matters, and never too much of it."""

from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from cli_multi_rapid.core.claims import ClaimMode, PathClaim
from cli_multi_rapid.core.ids import NodeId, ToolName
from cli_multi_rapid.core.plan import Form, Node, Prompt, Role
from cli_multi_rapid.engine.prompt import LONGEST_PROMPT, write_prompt
from cli_multi_rapid.engine.prompt_parts import Keep, bullets, cut
from tests.examples import examples

NODE = Node(
    id=NodeId("n1"),
    label="Add OAuth",
    tool=ToolName("claude"),
    work=Prompt(),
    goal="Validate the tokens.\n\nKeep the old login.",
    inputs=("src/auth/base.py",),
    outputs=("src/auth/oauth.py",),
    path_claims=(PathClaim(path="src/auth/**"), PathClaim(path="docs/**", mode=ClaimMode.READ)),
)

WHOLE = """\
# Add OAuth

Validate the tokens.

Keep the old login.

## What you may touch
You may change only:
- src/auth/**
You may read, and must not change:
- docs/**
Other files are not yours: leave them as they are.

## Read these first
- src/auth/base.py

## Write these
- src/auth/oauth.py

## Already done by others
- Models: made the tables

## Said by the person in charge
- use PKCE

## The last attempt failed
exit code 1
line 1
line 2

This folder is as it was before that attempt: nothing of its work is in it.

## How to work
Work only in the current folder. Do not commit, push or switch branches: that is done for you. Nobody answers
questions; decide yourself and finish. Your last message is kept as the summary: say what you did.
"""


def told(node: Node = NODE, evidence: str = "exit code 1\nline 1\nline 2") -> str:
    return write_prompt(node, done=[("Models", "made the tables")], context=["use PKCE"], evidence=evidence)


def test_a_node_that_changes_files_is_told_all_that_it_needs() -> None:
    assert told() == WHOLE


def test_a_node_that_verifies_is_told_that_its_changes_are_thrown_away() -> None:
    text = told(replace(NODE, role=Role.IPT))
    assert "thrown away" in text
    assert "## What you may touch" not in text
    assert "made the tables" in text


def test_a_reviewer_is_told_what_has_landed_and_how_to_judge() -> None:
    node = replace(NODE, role=Role.IPT, form=Form.REVIEW, path_claims=(), outputs=())
    text = write_prompt(
        node, done=[], context=["mind the tokens"], evidence="no JSON\nline 3", landed=["n0: Add a login"]
    )
    assert text.startswith("# Add OAuth\n\nValidate the tokens.")
    for part in ("## The work that has landed\n- n0: Add a login", "- mind the tokens", "no JSON\nline 3"):
        assert part in text
    assert "verdict: fail when" in text
    assert "How to work" not in text


def test_who_plans_a_remedy_is_told_the_rules_of_plans() -> None:
    text = write_prompt(replace(NODE, role=Role.IPT, form=Form.REMEDY), done=[], context=[])
    assert "path_claims are globs" in text
    assert "What you may touch" not in text


def test_what_there_is_nothing_to_say_of_has_no_heading() -> None:
    text = write_prompt(replace(NODE, inputs=(), outputs=(), path_claims=()), done=[], context=[])
    assert [line for line in text.splitlines() if line.startswith("#")] == ["# Add OAuth", "## How to work"]


def test_a_text_that_looks_like_a_part_of_the_template_stays_a_text() -> None:
    text = write_prompt(replace(NODE, goal="{claims}\n\n{done}"), done=[], context=["{failure}"])
    assert text.startswith("# Add OAuth\n\n{claims}\n\n{done}\n\n## What you may touch")
    assert "- {failure}" in text


def test_of_a_long_failure_the_reason_and_the_end_are_shown() -> None:
    text = told(evidence="it timed out\n" + "noise\n" * 5000 + "the last words")
    assert "\nit timed out\n[... " in text
    assert "the last words\n\nThis folder" in text
    assert len(text) < 7000


def test_of_many_words_of_people_the_newest_are_kept_in_their_order() -> None:
    context = [f"word {number} " + "x" * 300 for number in range(200)]
    text = write_prompt(NODE, done=[], context=context)
    assert (
        "- [... 150 earlier more are left out here ...]" in text or " earlier more are left out here" in text
    )
    assert "word 0 " not in text
    assert text.index("word 198 ") < text.index("word 199 ")


def test_the_goal_is_cut_last() -> None:
    goal = "".join(chr(0x4E00 + number % 5000) for number in range(30_000))
    done = [(f"node {number}", "y" * 5000) for number in range(50)]
    text = write_prompt(replace(NODE, goal=goal), done=done, context=["z" * 20_000], evidence="bad\n" * 9000)
    assert goal in text
    assert "src/auth/**" in text
    assert len(text.encode()) <= LONGEST_PROMPT


texts = st.text(max_size=60).flatmap(lambda text: st.integers(1, 3000).map(lambda times: text * times))


@settings(deadline=None, max_examples=examples(30))
@given(
    goal=texts,
    label=st.text(max_size=30),
    names=st.lists(st.text(min_size=1, max_size=200), max_size=40),
    done=st.lists(st.tuples(st.text(max_size=20), texts), max_size=6),
    context=st.lists(texts, max_size=6),
    evidence=texts,
    role=st.sampled_from(Role),
)
def test_no_prompt_is_longer_than_an_argument_may_be(
    goal: str,
    label: str,
    names: list[str],
    done: list[tuple[str, str]],
    context: list[str],
    evidence: str,
    role: Role,
) -> None:
    node = replace(NODE, label=label, goal=goal, inputs=tuple(names), outputs=tuple(names), role=role)
    text = write_prompt(node, done=done, context=context, evidence=evidence)
    assert len(text.encode("utf-8", "replace")) <= LONGEST_PROMPT
    assert "## How to work" in text


@given(text=st.text(max_size=400), limit=st.integers(60, 500), keep=st.sampled_from(Keep))
def test_a_cut_text_says_how_much_is_missing(text: str, limit: int, keep: Keep) -> None:
    shown = cut(text, limit, keep)
    assert len(shown) <= limit + 1
    assert shown == text or "are left out here" in shown


def test_a_list_leaves_out_whole_items() -> None:
    items = [f"src/{number}/" + "x" * 40 for number in range(100)]
    shown = bullets(items, 1000).splitlines()
    assert shown[:-1] == [f"- {item}" for item in items[: len(shown) - 1]]
    assert shown[-1] == f"- [... {100 - len(shown) + 1} more are left out here ...]"
