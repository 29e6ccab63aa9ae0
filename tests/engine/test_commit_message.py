"""What stands in the history of the target about a node."""

from msgspec.structs import replace

from cli_multi_rapid.core.ids import ToolName
from cli_multi_rapid.engine.commit_message import commit_message
from tests.fakes.sample_plans import RUN, node


def test_words_of_a_model_and_output_of_a_check_cannot_steer_the_terminal_of_who_reads_the_log() -> None:
    labelled = replace(node("n1"), label="Fix\x1b]0;title\x07 it\r\nnow")
    message = commit_message(labelled, RUN, ToolName("t"), 1, "It ends so:\n\x1b[31mred\0\u202e\n\tby a tab")
    assert message.startswith("[n1] Fix it now\n\nIt ends so:\nred\n\tby a tab\n\nOrchestrator-Run: ")
