"""What is known of an attempt whose end nobody saw: read from the log that it left."""

from pathlib import Path

from cli_multi_rapid.core.ids import RunId
from cli_multi_rapid.core.plan import Node
from cli_multi_rapid.ports import Adapter, Brief, ToolReading

_READ_BYTES = 2 * 1024 * 1024


def reading_from_log(adapter: Adapter | None, log: str, run_id: RunId, node: Node) -> ToolReading | None:
    """What the tool itself recorded before it was cut off: its usage and its session; None without a log."""
    path = Path(log)
    if adapter is None or not path.is_file():
        return None
    with path.open("rb") as stream:
        stream.seek(max(0, path.stat().st_size - _READ_BYTES))
        output = stream.read()
    brief = Brief(
        node=node,
        attempt=0,
        run_id=run_id,
        slot=path.parent,
        temp=path.parent,
        prompt="",
        timeout_s=0.0,
    )
    return adapter.read(output, None, brief)
