"""A run follows what the merge queue says of its work, and of nothing else."""

from cli_multi_rapid.core.facts import Payload
from cli_multi_rapid.core.ids import Branch, CheckId, Commit, EntryId, NodeId, RunId
from cli_multi_rapid.core.merge_events import (
    MergeChecking,
    MergeConflicted,
    MergeEnqueued,
    MergeEntry,
    MergeFailed,
    MergeHalted,
    MergeHeld,
    MergeLanded,
    MergeLanding,
    MergeMissed,
    MergeResealed,
    MergeResumed,
    MergeSplit,
)
from cli_multi_rapid.core.node_events import (
    NodeReset,
)
from cli_multi_rapid.core.node_state import MergeStatus
from tests.fakes.pictures import picture
from tests.fakes.sample_plans import commit_id, tree_id
from tests.fakes.small_runs import Story, bare

A = NodeId("a")
ENTRY = EntryId("a")


def queued() -> Story:
    return Story(bare("a"), bare("b", "a")).do("a").do("b").enqueue("a").enqueue("b")


def standing(story: Story) -> list[MergeStatus | None]:
    return [node.merge_status for node in story.state.nodes.values()]


def test_the_run_follows_its_work_through_the_queue() -> None:
    story, both = queued(), (ENTRY, EntryId("b"))
    in_line, merged = MergeStatus.QUEUED, MergeStatus.MERGED
    checking = MergeChecking(entries=both, tip=commit_id(), commit=commit_id(), tree=tree_id())
    landing = MergeLanding(
        entries=(ENTRY,), expected=commit_id(), commit=commit_id(), tree=tree_id(), markers=()
    )
    assert standing(story) == [in_line, in_line]
    assert standing(story.tell(checking)) == [MergeStatus.CHECKING] * 2
    assert standing(story.tell(MergeSplit(entries=both, check=CheckId("c"), reason="red"))) == [
        in_line,
        in_line,
    ]
    assert standing(story.tell(checking, MergeHalted(reason="the target is red"))) == [in_line, in_line]
    assert standing(story.tell(landing)) == [MergeStatus.MERGING, in_line]
    assert standing(story.tell(MergeMissed(entries=(ENTRY,), reason="moved"))) == [in_line, in_line]
    held = MergeHeld(entries=(ENTRY,), commit=commit_id(), reason="dirty", command="git merge")
    assert standing(story.tell(held)) == [MergeStatus.BLOCKED, in_line]
    assert story.state.nodes[A].held_command == "git merge"
    assert standing(story.tell(MergeResumed(reason="go"))) == [in_line, in_line]
    landed = MergeLanded(entries=(ENTRY,), commit=Commit("f" * 40), tree=tree_id())
    assert standing(story.tell(landed)) == [merged, in_line]
    assert story.state.nodes[A].landed_commit == "f" * 40
    clash = MergeConflicted(entry_id=EntryId("b"), files=("f.py",), partner="main", reason="clash")
    assert standing(story.tell(clash)) == [merged, MergeStatus.CONFLICTED]
    assert story.state.nodes[NodeId("b")].merge_files == ("f.py",)


def test_an_ejected_node_says_where_the_log_is() -> None:
    story = queued().tell(MergeFailed(entry_id=ENTRY, reason="red", log="tests.log"))
    node = story.state.nodes[A]
    assert (node.merge_status, node.merge_reason, node.merge_log) == (MergeStatus.FAILED, "red", "tests.log")


def test_a_rebuilt_entry_has_a_new_head_and_one_less_to_wait_for() -> None:
    story = Story(bare("a")).do("a")
    entry = MergeEntry(
        id=ENTRY, branch=Branch("a"), head=commit_id(), base=commit_id(), target=Branch("main"), node_id=A,
        deps=(EntryId("d"),), after=(EntryId("x"), EntryId("y")),
    )  # fmt: skip
    story.tell(MergeEnqueued(entry=entry))
    assert story.state.nodes[A].behind == ("d", "x", "y")
    resealed = MergeResealed(entry_id=ENTRY, head=Commit("e" * 40), base=commit_id(), without=EntryId("x"))
    story.tell(resealed)
    assert (story.state.nodes[A].head, story.state.nodes[A].behind) == ("e" * 40, ("d", "y"))


def test_the_fate_of_an_entry_that_was_given_up_does_not_touch_the_node_that_is_done_again() -> None:
    story = queued().tell(MergeFailed(entry_id=ENTRY, reason="red"), NodeReset(node_id=A, reason="again"))
    before = picture(story.state)["nodes"]
    facts: tuple[Payload, ...] = (
        MergeLanded(entries=(ENTRY,), commit=commit_id(), tree=tree_id()),
        MergeResealed(entry_id=ENTRY, head=commit_id(), base=commit_id(), without=EntryId("x")),
        MergeFailed(entry_id=ENTRY, reason="red"),
        MergeConflicted(entry_id=ENTRY, files=(), partner="main", reason="clash"),
        MergeHeld(entries=(ENTRY,), commit=commit_id(), reason="r", command="c"),
    )
    assert picture(story.tell(*facts).state)["nodes"] == before


def test_entries_of_other_runs_are_none_of_ours() -> None:
    story = Story(bare("a"))
    before = picture(story.state)["nodes"]
    for node_id in (None, NodeId("elsewhere")):
        entry = MergeEntry(
            id=EntryId("e"), branch=Branch("b"), head=commit_id(), base=commit_id(), target=Branch("main"),
            run_id=RunId("other"), node_id=node_id,
        )  # fmt: skip
        story.tell(MergeEnqueued(entry=entry))
    story.tell(MergeLanded(entries=(EntryId("e"),), commit=commit_id(), tree=tree_id()))
    assert picture(story.state)["nodes"] == before
