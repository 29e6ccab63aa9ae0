"""Our own loop on a plan whose nodes need no slot: `python -m benchmarks.suite.bare_run REPO PLAN WORKERS
WARDEN`.

The product has no such way: each attempt gets a work tree and its changes are looked at. Here only that part
is left out; scheduler, event log, workers and supervision are the product's own. WARDEN is `guarded` (as in
the product: a warden above each program, which ends it when we are killed) or `alone`.
"""

import sys
from pathlib import Path

from cli_multi_rapid.core.node_events import NodeSucceeded
from cli_multi_rapid.core.plan import CheckSpec
from cli_multi_rapid.engine.attempt import AttemptRunner
from cli_multi_rapid.engine.attempt_terms import AttemptOrder, Told
from cli_multi_rapid.engine.merge_queue import MergeQueue
from cli_multi_rapid.engine.session import Session, accept_plan
from cli_multi_rapid.planner.load import load_plan
from cli_multi_rapid.ports import Brief
from cli_multi_rapid.process import supervise
from cli_multi_rapid.process_environment import inherited_environment
from cli_multi_rapid.process_terms import CancelToken, Supervision
from cli_multi_rapid.wiring import open_workshop


class BareRunner(AttemptRunner, kw_only=True):
    """Runs the program of an attempt where the repository is, and calls it a success when it ends with 0."""

    guarded: bool

    def run(self, order: AttemptOrder, cancel: CancelToken) -> Told:
        """The one fact that tells the attempt."""
        adapter = self.adapters[order.tool]
        brief = Brief(
            node=order.node,
            attempt=order.attempt,
            run_id=order.run_id,
            slot=self.repository.root,
            temp=order.log.parent,
            prompt="",
            timeout_s=60.0,
            environment=inherited_environment(),
        )
        program = adapter.prepare(brief)
        ended = supervise(
            program.argv,
            cwd=program.cwd,
            env=program.env,
            marker=f"{order.run_id}/{order.node.id}/{order.attempt}",
            log=order.log,
            redactor=self.redactor,
            supervision=Supervision(timeout_s=brief.timeout_s, guarded=self.guarded),
            cancel=cancel,
        )
        if not ended.ok:
            raise RuntimeError(f"{order.node.id}: {ended.problem or ended.code}")
        done = NodeSucceeded(node_id=order.node.id, attempt=order.attempt, duration_s=ended.duration_s)
        return Told(facts=(done,))


class BareSession(Session):
    """A session whose attempts need no slot."""

    guarded = True

    def _attempts(self, queue: MergeQueue, checks: tuple[CheckSpec, ...]) -> AttemptRunner:
        whole = super()._attempts(queue, checks)
        parts = {name: getattr(whole, name) for name in whole.__struct_fields__}
        return BareRunner(**parts, guarded=self.guarded)


def main(repo: str, plan: str, workers: str, warden: str) -> int:
    """Drive the plan to its end; the exit code of the run."""
    with open_workshop(Path(repo), flags={"workers": int(workers)}) as shop:
        run_id = accept_plan(shop, load_plan(Path(plan)).plan, plan)
        session = BareSession(shop, run_id)
        session.guarded = warden == "guarded"
        return session.run().exit_code


if __name__ == "__main__":
    raise SystemExit(main(*sys.argv[1:]))
