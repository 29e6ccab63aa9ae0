"""The text that an agent is given, and nothing that a plan says becomes more than text."""

from collections.abc import Mapping, Sequence
from typing import Final

from cli_multi_rapid.core.claims import ClaimMode, PathClaim
from cli_multi_rapid.core.plan import Form, Node, Role
from cli_multi_rapid.engine.prompt_parts import Keep, Part, bullets, cut, within

LONGEST_PROMPT: Final = 96 * 1024
"""Bytes. Several agents take it as one argument, which may have 128 KiB."""

_PARTS: Final = ("task", "landed", "claims", "inputs", "outputs", "done", "said", "failure")
_TEMPLATES: Final[Mapping[Role, str]] = {
    Role.WT: """\
{task}

{claims}

{inputs}

{outputs}

{done}

{said}

{failure}

## How to work
Work only in the current folder. Do not commit, push or switch branches: that is done for you. Nobody answers
questions; decide yourself and finish. Your last message is kept as the summary: say what you did.
""",
    Role.IPT: """\
{task}

{inputs}

{done}

{said}

{failure}

## How to work
The current folder holds the merged work of the others. Plan or verify; what you change here is thrown away.
Nobody answers questions. Your last message is the result that others read: say what you found, with evidence.
""",
}
"""One for each role; a name in braces stands for a part, which may be empty."""

_FORMS: Final[Mapping[Form, str]] = {
    Form.REVIEW: """\
{task}

{landed}

{inputs}

{said}

{failure}

## How to review
The current folder holds what has landed. Read in it what you need. You can change nothing: what you write is
thrown away.

Report what is wrong with the work of these nodes: what does not do what was asked, breaks something, loses or
corrupts data, or lets in who must stay out. Leave out what is a matter of taste, and what was there before.

- blocker: must not stay a day. major: must be put right. minor: worth a line, and nothing more comes of it.
- file and line as they are now; node is the node whose work it is about.
- verdict: fail when there is a blocker or something major, else pass. A review may well find nothing.
""",
    Form.REMEDY: """\
{task}

{landed}

{said}

{failure}

## How to plan
The current folder holds what has landed. Read in it what you need. You change nothing: your answer is the
plan.

- Each node is done by one agent in a worktree of its own, beside all nodes that it does not depend on. Its
  goal is all that its agent is told: say what is wrong, where, and how one sees that it is right.
- path_claims are globs of all that a node may change: `*` stays within one part of a path, `**` crosses
  parts. Nodes that run side by side must not claim the same paths with mode exclusive.
- Every path in outputs lies inside the claims of its node. deps name nodes of your plan and form no cycle.
- Who starts a program, what it may cost and where it runs is not yours to say.
""",
}
"""One for each form of an answer."""


def write_prompt(
    node: Node,
    *,
    done: Sequence[tuple[str, str]],
    context: Sequence[str],
    evidence: str = "",
    landed: Sequence[str] = (),
) -> str:
    """Compose the prompt of one attempt, of at most `LONGEST_PROMPT` bytes.

    `done`: label and summary of each dependency. `context`: what people injected, the oldest first.
    `evidence`: reason and output of the last failure, of which the end is shown. `landed`: the work that
    is to be looked at.
    """
    template = _TEMPLATES[node.role] if node.form is None else _FORMS[node.form]
    parts = [_landed(landed), *_parts(node, done, context, evidence)]
    wanted = [part for part in parts if f"{{{part.name}}}" in template]
    room = LONGEST_PROMPT - len(template.encode())
    shown = {part.name: part.shown for part in within(wanted, room)}
    paragraphs = [_filled(paragraph, shown) for paragraph in template.split("\n\n")]
    return "\n\n".join(paragraph.strip("\n") for paragraph in paragraphs if paragraph.strip()) + "\n"


def _filled(paragraph: str, shown: Mapping[str, str]) -> str:
    """A paragraph of the template: a part, or words of ours. What was put in is not looked at again."""
    name = paragraph.strip().removeprefix("{").removesuffix("}")
    return shown.get(name, "") if name in _PARTS else paragraph


def _parts(node: Node, done: Sequence[tuple[str, str]], context: Sequence[str], evidence: str) -> list[Part]:
    """Every part with its limit in characters. The goal and what may be touched are cut last."""
    return [
        Part(name="task", text=f"# {node.label}\n\n{node.goal or node.label}", limit=40_000, weight=9),
        Part(
            name="claims", title="What you may touch", text=_claims(node.path_claims), limit=8_000, weight=8
        ),
        Part(name="outputs", title="Write these", text=bullets(node.outputs, 6_000), limit=6_000, weight=7),
        Part(
            name="failure",
            title="The last attempt failed",
            text=_failure(evidence),
            limit=6_000,
            keep=Keep.END,
            weight=6,
        ),
        Part(
            name="said",
            title="Said by the person in charge",
            text=bullets(context, 16_000, Keep.END),
            limit=16_000,
            keep=Keep.END,
            weight=5,
        ),
        Part(
            name="inputs", title="Read these first", text=bullets(node.inputs, 6_000), limit=6_000, weight=4
        ),
        Part(
            name="done",
            title="Already done by others",
            text=bullets([f"{label}: {summary}" for label, summary in done], 12_000),
            limit=12_000,
            weight=3,
        ),
    ]


def _landed(landed: Sequence[str]) -> Part:
    return Part(
        name="landed",
        title="The work that has landed",
        text=bullets(landed, 24_000),
        limit=24_000,
        weight=8,
    )


def _claims(claims: Sequence[PathClaim]) -> str:
    if not claims:
        return ""
    may = [claim.path for claim in claims if claim.mode is not ClaimMode.READ]
    only_read = [claim.path for claim in claims if claim.mode is ClaimMode.READ]
    lines = ["You may change only:", bullets(may, 4_000)] if may else ["Change no file."]
    lines += ["You may read, and must not change:", bullets(only_read, 3_000)] if only_read else []
    return "\n".join([*lines, "Other files are not yours: leave them as they are."])


def _failure(evidence: str) -> str:
    """The reason and the end of the output. An agent that remembers must know that its work is gone."""
    reason, _, output = evidence.strip().partition("\n")
    if not reason:
        return ""
    told = [cut(reason, 1_000, Keep.BEGINNING), cut(output.strip("\n"), 4_000, Keep.END)]
    afresh = "This folder is as it was before that attempt: nothing of its work is in it."
    return "\n".join([*filter(None, told), "", afresh])
