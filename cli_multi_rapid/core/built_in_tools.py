"""The names of the tools that are part of this program."""

from typing import Final

from cli_multi_rapid.core.ids import ToolName

SHELL: Final = ToolName("shell")
PYTHON: Final = ToolName("python")
ACTIONS: Final = ToolName("actions")
SCRIPTED: Final = ToolName("scripted")
VERIFY: Final = ToolName("verify")

BUILT_IN_TOOLS: Final = (SHELL, PYTHON, ACTIONS, SCRIPTED, VERIFY)
"""Tools that need no model."""
