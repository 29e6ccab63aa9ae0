"""A plan of fixes by a model is held to what may be changed, and told so when it goes beyond."""

import json
from pathlib import Path

from cli_multi_rapid.core.facts import FailureClass
from cli_multi_rapid.core.ids import Branch, NodeId, ToolName
from cli_multi_rapid.core.remit import Remit
from cli_multi_rapid.core.verification_events import PlanProposed
from cli_multi_rapid.engine.attempt_terms import Failed, Judged, Sealed
from cli_multi_rapid.engine.remedy_plan import RemedyQuestion
from cli_multi_rapid.git import open_repository
from tests.fakes.repositories import make_repository
from tests.fakes.sample_plans import node


def test_a_plan_that_claims_more_than_may_be_changed_is_to_be_made_again(tmp_path: Path) -> None:
    builder = make_repository(tmp_path / "repo")
    repository = open_repository(builder.path, scratch=tmp_path / "scratch")
    question = RemedyQuestion(
        node_id=NodeId("remedy-1"),
        attempt=1,
        tools=(ToolName("claude"),),
        target=Branch("main"),
        one_first=False,
        remit=Remit(nodes={NodeId("n"): node("n")}),
    )

    def judged(*claims: str) -> Judged:
        held = [{"path": path, "mode": "exclusive"} for path in claims]
        plan = {"nodes": [{"id": "a", "tool": "claude", "goal": "mend it", "path_claims": held}]}
        ended = Sealed(summary="", snapshot=None)
        return question.judge(json.dumps(plan), ended, repository, builder.head)

    (proposed,) = judged("src/n/a.py", "src/n/deep/**").facts
    assert isinstance(proposed, PlanProposed)
    for claims in (["src/n/a.py", "src/**"], []):
        failed = judged(*claims).ended
        assert isinstance(failed, Failed)
        assert failed.failure is FailureClass.BAD_ANSWER
        assert "`a` claims more than may be changed here" in failed.reason
        assert "its claims lie inside: src/n/**" in failed.evidence
