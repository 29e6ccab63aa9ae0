"""The built-in verifier: every required check on the landed tree. The report is drawn from its facts."""

import time
from collections.abc import Callable, Sequence

from msgspec import Struct
from msgspec.structs import replace

from cli_multi_rapid.core.facts import FailureClass, Payload, Verdict
from cli_multi_rapid.core.merge_events import CheckFinished
from cli_multi_rapid.core.node_events import NodeAttemptFailed, NodeBased, NodeSucceeded
from cli_multi_rapid.core.plan import CheckSpec
from cli_multi_rapid.core.queue_intents import Tip
from cli_multi_rapid.core.verdicts import key_of
from cli_multi_rapid.core.verification_events import Finding, NodeVerified, Severity
from cli_multi_rapid.engine.attempt_terms import AttemptOrder
from cli_multi_rapid.engine.bases import tip_of
from cli_multi_rapid.engine.check_runner import CheckJob, CheckRunner
from cli_multi_rapid.engine.home import Home
from cli_multi_rapid.git import Repository
from cli_multi_rapid.process_terms import CancelToken
from cli_multi_rapid.redaction import printable


class Verifier(Struct, frozen=True, kw_only=True):
    """Verifies the merged target. Runs in a worker like any attempt."""

    repository: Repository
    runner: CheckRunner
    home: Home
    checks: tuple[CheckSpec, ...]
    fingerprint: str
    known: Callable[[str], CheckFinished | None]
    """Verdicts that were found already, by key."""

    def run(self, order: AttemptOrder, cancel: CancelToken) -> tuple[Payload, ...]:
        """The facts of the attempt, each check's verdict among them."""
        began = time.monotonic()
        tip = tip_of(self.repository, order.target)
        tree = self.repository.tree_of(tip)
        landed = Tip(commit=tip, tree=tree, contents=self.runner.inputs.contents(tree, self.checks))
        verdicts = tuple(self._verdict(check, landed, order, cancel) for check in self.checks)
        failed = [verdict for verdict in verdicts if verdict.verdict is not Verdict.PASSED]
        based = NodeBased(node_id=order.node.id, attempt=order.attempt, base=tip, tip=tip)
        duration_s = round(time.monotonic() - began, 3)
        facts: list[Payload] = [based, *verdicts]
        if not cancel.cancelled:
            facts.append(_verified(order, landed, verdicts))
        if failed:
            reason = f"the landed tree fails {', '.join(verdict.check for verdict in failed)}"
            facts.append(
                NodeAttemptFailed(
                    node_id=order.node.id,
                    attempt=order.attempt,
                    failure=FailureClass.INTERRUPTED if cancel.cancelled else FailureClass.TOOL_FAILED,
                    reason=f"{reason}: {failed[0].reason}",
                    evidence=failed[0].evidence,
                    duration_s=duration_s,
                )
            )
        else:
            facts.append(
                NodeSucceeded(
                    node_id=order.node.id,
                    attempt=order.attempt,
                    summary=f"{len(verdicts)} checks pass on {tip[:10]}",
                    base=tip,
                    duration_s=duration_s,
                )
            )
        return tuple(facts)

    def _verdict(self, check: CheckSpec, tip: Tip, order: AttemptOrder, cancel: CancelToken) -> CheckFinished:
        key = key_of(check, tip, self.fingerprint)
        known = self.known(key)
        if known is not None and known.verdict is Verdict.PASSED:
            return replace(known, tree=tip.tree, reused=True, entries=())
        log = self.home.logs(order.run_id) / f"{order.node.id}.{order.attempt}.{check.id}.log"
        job = CheckJob(check=check, commit=tip.commit, tree=tip.tree, key=key, entries=(), log=log)
        return self.runner.run(job, cancel)


def _verified(order: AttemptOrder, landed: Tip, verdicts: Sequence[CheckFinished]) -> NodeVerified:
    """The verdict on the tree. A check that could not be carried out says nothing about it."""
    findings = tuple(
        Finding(
            summary=printable(verdict.reason) or f"{verdict.check} {verdict.verdict}",
            severity=Severity.BLOCKER,
            check=verdict.check,
            evidence=printable(verdict.evidence),
        )
        for verdict in verdicts
        if verdict.verdict in (Verdict.FAILED, Verdict.TIMED_OUT)
    )
    passed = all(verdict.verdict is Verdict.PASSED for verdict in verdicts)
    return NodeVerified(
        node_id=order.node.id,
        attempt=order.attempt,
        commit=landed.commit,
        tree=landed.tree,
        verdict=Verdict.PASSED if passed else Verdict.FAILED if findings else Verdict.ERROR,
        findings=findings,
    )
