"""The work that a review is of."""

from collections.abc import Iterator

from cli_multi_rapid.core.ids import NodeId
from cli_multi_rapid.core.node_state import MergeStatus, NodeState
from cli_multi_rapid.core.plan import Form
from cli_multi_rapid.core.state import RunState


def reviewed(state: RunState, node_id: NodeId) -> list[NodeState]:
    """The nodes that a node comes after, through any number of others, and whose work has landed."""
    found: set[NodeId] = set()
    stack = list(state.nodes[node_id].node.deps)
    while stack:
        name = stack.pop()
        if name not in found:
            found.add(name)
            stack.extend(state.nodes[name].node.deps)
    return [
        node
        for name, node in state.nodes.items()
        if name in found and node.merge_status is MergeStatus.MERGED and node.success is not None
    ]


def files_of(node: NodeState) -> Iterator[str]:
    """What the work of a node has changed, under old names and new ones."""
    for file in node.success.files if node.success else ():
        yield file.path
        if file.old_path is not None:
            yield file.old_path


def has_nothing_to_review(state: RunState, node_id: NodeId) -> bool:
    """Whether a node is a review that would be paid for a look at nothing."""
    return state.nodes[node_id].node.form is Form.REVIEW and not reviewed(state, node_id)
