"""What an attempt cost whose end nobody saw: read from the log that it left."""

from pathlib import Path

from cli_multi_rapid.core.facts import Usage
from cli_multi_rapid.core.ids import RunId
from cli_multi_rapid.core.plan import Node
from cli_multi_rapid.ports import Adapter, Brief

_READ_BYTES = 2 * 1024 * 1024


def usage_from_log(adapter: Adapter | None, log: str, run_id: RunId, node: Node) -> Usage:
    """The usage that the tool itself recorded before it was cut off; nothing when it recorded none."""
    path = Path(log)
    if adapter is None or not path.is_file():
        return Usage()
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
    return adapter.read(output, None, brief).usage
