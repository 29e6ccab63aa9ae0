"""One node of a plan, with the places of what the rules across nodes may complain about."""

from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from cli_multi_rapid.core.built_in_tools import VERIFY
from cli_multi_rapid.core.claims import ClaimMode, PathClaim
from cli_multi_rapid.core.ids import NodeId, ToolName
from cli_multi_rapid.core.plan import Approval, Node, Prompt, Role, Sandbox
from cli_multi_rapid.schema.checks import LONGEST_S, SHORTEST_S, read_env
from cli_multi_rapid.schema.confinement import read_network
from cli_multi_rapid.schema.fields import Fields, keys, open_table
from cli_multi_rapid.schema.names import PRIORITIES
from cli_multi_rapid.schema.plan_head import MOST_RETRIES
from cli_multi_rapid.schema.problems import Code
from cli_multi_rapid.schema.reading import Reading, Text
from cli_multi_rapid.schema.source import quoted
from cli_multi_rapid.schema.values import Items, Scalar, Table, Value, number_of
from cli_multi_rapid.schema.verification import read_form
from cli_multi_rapid.schema.work import read_tool, read_work

NODE_KEYS: Final = keys(
    "id label role tool goal prompt run argv target kwargs actions script inputs outputs path_claims deps "
    "capabilities priority est_cost max_cost est_duration_s estimated_duration_min timeout_s retries model "
    "env approval sandbox network review stream worktree_path branch",
    deps="dependencies",
    est_cost="estimated_cost",
    capabilities="capabilities_required",
    path_claims="claims",
    kwargs="args",
)
_CLAIM_KEYS: Final = keys("path mode")
_REVIEW: Final = "Review what has landed"
_LARGEST_PRIORITY: Final = 1_000_000


class ParsedNode(Struct, frozen=True, kw_only=True):
    """A node and where its parts stand."""

    node: Node
    at: Table
    id_at: Value
    tool_at: Text | None
    deps: tuple[Text, ...]
    outputs: tuple[Text, ...]
    claims_at: Value
    """The list of the claims, else the node."""
    claims: tuple[tuple[PathClaim, Text], ...]

    @property
    def says_claims(self) -> bool:
        """Whether it has claims, be they as they must or not."""
        if isinstance(self.claims_at, Items):
            return bool(self.claims_at.items)
        return self.claims_at is not self.at

    def claim_at(self, claim: PathClaim) -> Value:
        """Where one of the node's claims stands."""
        return next((text.at for own, text in self.claims if own == claim), self.claims_at)


def read_node(reading: Reading, value: Value, position: int) -> ParsedNode | None:
    """A node from its mapping; `position` counts from 1 and names a node without an id."""
    fields = open_table(reading, value, NODE_KEYS, name_of("node", value, position))
    if fields is None:
        return None
    tool, tool_at = read_tool(fields)
    if tool is None and not fields.has("tool"):
        fields.missing("tool", "write tool: claude (or aider, codex, shell, …)")
    given = fields.text("id")
    if given is not None:
        reading.id(given, "a node id")
    elif not fields.has("id"):
        fields.missing("id", f"write id: n{position}")
    deps, outputs, claims = fields.texts("deps"), fields.globs("outputs"), read_claims(fields)
    node = replace(
        _node(fields, NodeId(given.text if given else f"node {position}"), tool or ToolName("")),
        deps=tuple(dict.fromkeys(NodeId(dep.text) for dep in deps)),
        outputs=tuple(output.text for output in outputs),
        path_claims=tuple(claim for claim, _ in claims),
    )
    return ParsedNode(
        node=node,
        at=fields.table,
        id_at=given.at if given else fields.table,
        tool_at=tool_at,
        deps=deps,
        outputs=outputs,
        claims_at=fields.at("path_claims"),
        claims=claims,
    )


def name_of(kind: str, value: Value, position: int, *, key: str = "id") -> str:
    """How messages call a node or phase: by its id, else by its place in the list."""
    entry = value.entries.get(key) if isinstance(value, Table) else None
    if entry is not None and isinstance(entry.value, Scalar) and entry.value.text:
        return f"{kind} {quoted(entry.value.text)}"
    return f"{kind} number {position}"


def _node(fields: Fields, node_id: NodeId, tool: ToolName) -> Node:
    """All of a node but what `read_node` keeps the places of."""
    goal = fields.string("goal")
    prompt = fields.string("prompt")
    form = read_form(fields, tool or None)
    return Node(
        id=node_id,
        label=_label(fields.string("label"), goal or prompt or (_REVIEW if form else ""), node_id),
        tool=tool,
        role=fields.choice("role", Role) or (Role.IPT if tool == VERIFY or form else Role.WT),
        goal=goal or prompt,
        work=read_work(fields, tool or None) or Prompt(),
        inputs=tuple(text.text for text in fields.globs("inputs")),
        capabilities=fields.strings("capabilities"),
        priority=read_priority(fields, 1),
        est_cost=fields.amount("est_cost"),
        max_cost=fields.amount("max_cost"),
        est_duration_s=_duration(fields),
        timeout_s=fields.number("timeout_s", low=SHORTEST_S, high=LONGEST_S),
        retries=fields.integer("retries", low=0, high=MOST_RETRIES),
        model=fields.optional_string("model"),
        env=read_env(fields),
        approval=fields.choice("approval", Approval) or Approval.NONE,
        sandbox=fields.choice("sandbox", Sandbox),
        network=read_network(fields),
        form=form,
        stream=fields.optional_string("stream"),
    )


def _label(label: str, goal: str, node_id: NodeId) -> str:
    """One line that names the node in lists and commits: label, else the start of the goal, else id."""
    words = " ".join((label or goal).split())
    if label or len(words) <= 72:
        return words or node_id
    return words[:71].rsplit(" ", 1)[0] + "…"


def read_claims(fields: Fields) -> tuple[tuple[PathClaim, Text], ...]:
    """The path claims with the places of their paths; a plain text claims its path exclusively."""
    found = []
    for value in fields.items("path_claims", "a list of path claims", of_texts=True):
        claim = _claim(fields, value)
        if claim is not None:
            found.append(claim)
    return tuple(found)


def _claim(fields: Fields, value: Value) -> tuple[PathClaim, Text] | None:
    reading = fields.reading
    if isinstance(value, Scalar):
        path, mode = reading.text(value, f"a claim of {fields.what}"), None
    else:
        claim = open_table(reading, value, _CLAIM_KEYS, f"a claim of {fields.what}")
        if claim is None:
            return None
        path, mode = claim.text("path"), claim.choice("mode", ClaimMode)
        if path is None and not claim.has("path"):
            claim.missing("path", "write {path: src/**, mode: exclusive}")
    if path is None or not reading.glob(path, "claim"):
        return None
    return PathClaim(path=path.text, mode=mode or ClaimMode.EXCLUSIVE), path


def read_priority(fields: Fields, default: int) -> int:
    """A whole number or a word; lower is first."""
    value = fields.value("priority")
    if isinstance(value, Scalar) and number_of(value) is None:
        text = fields.text("priority")
        if text is not None and text.text.lower() in PRIORITIES:
            return PRIORITIES[text.text.lower()]
        words = ", ".join(PRIORITIES)
        fields.reading.report(
            Code.BAD_VALUE,
            value,
            f"{fields.name_of('priority')} is a whole number or one of {words}, found {quoted(value.text)}",
            suggestion=fields.reading.did_you_mean(value.text, PRIORITIES) or "write 1; lower is first",
        )
        return default
    number = fields.integer("priority", low=-_LARGEST_PRIORITY, high=_LARGEST_PRIORITY)
    return default if number is None else number


def _duration(fields: Fields) -> float | None:
    seconds = fields.number("est_duration_s", low=0, high=LONGEST_S)
    minutes = fields.number("estimated_duration_min", low=0, high=LONGEST_S / 60)
    if seconds is None:
        return None if minutes is None else minutes * 60
    if minutes is not None and minutes * 60 != seconds:
        fields.reading.report(
            Code.TWO_SPELLINGS,
            fields.key_at("estimated_duration_min"),
            f"{fields.what} has two estimates of its duration that differ",
            suggestion="keep `est_duration_s` only",
        )
    return seconds
