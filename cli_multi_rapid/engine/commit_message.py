"""The message of the commit that holds a node's work."""

from cli_multi_rapid.core.ids import RunId, ToolName
from cli_multi_rapid.core.plan import Node
from cli_multi_rapid.redaction import printable

_LONGEST_BODY = 4000


def commit_message(node: Node, run_id: RunId, tool: ToolName, attempt: int, prompt: str) -> str:
    """`[node] label`, the prompt, and trailers that name run, node, tool and attempt.

    Labels may be a model's, and prompts quote what programs print: `git log` lets all of it steer a terminal.
    """
    subject = " ".join(printable(f"[{node.id}] {node.label}").split())[:100]
    body = printable(prompt).strip()[:_LONGEST_BODY]
    trailers = (
        f"Orchestrator-Run: {run_id}\n"
        f"Orchestrator-Node: {node.id}\n"
        f"Orchestrator-Tool: {tool}\n"
        f"Orchestrator-Attempt: {attempt}"
    )
    return "\n\n".join(part for part in (subject, body, trailers) if part) + "\n"
