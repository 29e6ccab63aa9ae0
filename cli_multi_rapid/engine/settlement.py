"""What is known of an attempt whose end nobody saw: read from the log that it left."""

from pathlib import Path

from msgspec.structs import replace

from cli_multi_rapid.core.ids import RunId
from cli_multi_rapid.core.node_state import NodeState
from cli_multi_rapid.core.routing import done_by
from cli_multi_rapid.engine.temp_folders import find_temp_folders
from cli_multi_rapid.engine.tool_sessions import running_session
from cli_multi_rapid.ports import Adapter, Brief, ToolReading

_READ_BYTES = 2 * 1024 * 1024


def reading_from_log(adapter: Adapter | None, run_id: RunId, node_state: NodeState) -> ToolReading | None:
    """What the tool of the last attempt itself recorded before it was cut off: its usage and its session.

    None without a log. The attempt's temporary folders must still be there: some tools write their usage
    into one.
    """
    attempt = node_state.attempts[-1]
    path = Path(attempt.log)
    if adapter is None or not path.is_file():
        return None
    with path.open("rb") as stream:
        stream.seek(max(0, path.stat().st_size - _READ_BYTES))
        output = stream.read()
    session = running_session(node_state)
    brief = Brief(
        node=done_by(node_state.node, attempt.tool),
        attempt=attempt.number,
        run_id=run_id,
        slot=path.parent,
        temp=path.parent,
        prompt="",
        timeout_s=0.0,
        session_id=session.id if adapter.resumes else None,
        session_usage=session.booked,
    )
    # A confined tool has a second folder, for its sandbox.
    folders = find_temp_folders(attempt.slot) or (brief.temp,)
    readings = [adapter.read(output, None, replace(brief, temp=folder)) for folder in folders]
    return max(readings, key=lambda reading: reading.usage.tokens)
