"""The checkers of a merge queue: which checks are under way, on which trees, and who still wants to know."""

from collections.abc import Callable, Collection
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from cli_multi_rapid.core.errors import OrchestratorError
from cli_multi_rapid.core.facts import Verdict
from cli_multi_rapid.core.merge_events import CheckFinished, CheckStarted
from cli_multi_rapid.core.queue_intents import RunChecks
from cli_multi_rapid.core.queue_state import QueueState
from cli_multi_rapid.core.verdicts import key_of
from cli_multi_rapid.engine.check_runner import CheckJob, CheckRunner
from cli_multi_rapid.engine.inbox import CheckEnded, Inbox
from cli_multi_rapid.machine_faults import machine_fault
from cli_multi_rapid.process_terms import CancelToken


class CheckDesk:
    """Hands checks to a pool of checkers. Called from the deciding thread only."""

    def __init__(
        self, runner: CheckRunner, inbox: Inbox, logs: Path, *, workers: int, fingerprint: str
    ) -> None:
        self._runner = runner
        self._inbox = inbox
        self._logs = logs
        self._fingerprint = fingerprint
        self._pool = ThreadPoolExecutor(workers, thread_name_prefix="check")
        self._serial = 0
        self._in_flight: dict[str, int] = {}
        """The start that counts, for each key."""
        self._tokens: dict[int, CancelToken] = {}
        """Of every start whose end has not been heard of, also of those called off."""

    @property
    def busy(self) -> bool:
        """Whether checks are running."""
        return bool(self._in_flight)

    def jobs_for(self, intent: RunChecks, state: QueueState) -> list[CheckJob]:
        """The checks of an intent that are not under way yet."""
        jobs = []
        for check in intent.checks:
            key = key_of(check, intent, self._fingerprint)
            if key in self._in_flight:
                continue
            record = state.records.get(key)
            times = len(record.outcomes) + 1 if record else 1
            jobs.append(
                CheckJob(
                    check=check,
                    commit=intent.commit,
                    tree=intent.tree,
                    key=key,
                    entries=intent.entries,
                    log=self._logs / f"{check.id}.{key[:12]}.{times}.log",
                )
            )
        return jobs

    def start(self, job: CheckJob) -> None:
        """Give a check to a checker; its end comes to the inbox."""
        self._serial += 1
        token = self._tokens[self._serial] = CancelToken()
        self._in_flight[job.key] = self._serial
        self._pool.submit(_carry_out, self._runner, job, token, self._serial, self._inbox.put)

    def accept(self, ended: CheckEnded) -> bool:
        """Take note of an end; whether anybody still wants to know."""
        if token := self._tokens.pop(ended.serial, None):
            token.close()
        if self._in_flight.get(ended.key) != ended.serial:
            return False
        del self._in_flight[ended.key]
        return True

    def keep_only(self, wanted: Collection[str]) -> None:
        """Stop checkers whose verdict nobody waits for any more."""
        for key in [key for key in self._in_flight if key not in wanted]:
            self._tokens[self._in_flight.pop(key)].cancel("its candidate is out of the race")

    def close(self) -> None:
        """Stop every checker and wait for its end."""
        for token in self._tokens.values():
            token.cancel("the merge queue is closing")
        self._pool.shutdown(wait=True)
        for token in self._tokens.values():
            token.close()
        self._tokens.clear()
        self._in_flight.clear()


def started(job: CheckJob) -> CheckStarted:
    """The fact that a check begins."""
    return CheckStarted(check=job.check.id, tree=job.tree, key=job.key, entries=job.entries, log=str(job.log))


def _carry_out(
    runner: CheckRunner, job: CheckJob, token: CancelToken, serial: int, put: Callable[[CheckEnded], None]
) -> None:
    """In a checker's thread: whatever happens, somebody hears of it."""
    facts: tuple[CheckFinished, ...] = ()
    fault = None
    try:
        facts = (runner.run(job, token),)
    except BaseException as error:  # noqa: BLE001  # or the queue waits for ever, also where a thread dies
        fault = machine_fault(error)
        facts = () if fault else (_broken(job, error),)
    put(CheckEnded(key=job.key, serial=serial, facts=facts, fault=fault))


def _broken(job: CheckJob, error: BaseException) -> CheckFinished:
    ours = isinstance(error, OrchestratorError)
    reason = str(error) if ours else f"internal error: {type(error).__name__}: {error}"
    return CheckFinished(
        check=job.check.id,
        tree=job.tree,
        key=job.key,
        verdict=Verdict.ERROR,
        reason=f"{job.check.id} could not be carried out: {reason}",
        entries=job.entries,
    )
