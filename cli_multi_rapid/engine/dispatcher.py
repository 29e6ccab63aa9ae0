"""The pool of workers: each carries out one attempt at a time and reports to the inbox."""

import traceback
from concurrent.futures import ThreadPoolExecutor

from cli_multi_rapid.core.facts import FailureClass
from cli_multi_rapid.core.ids import NodeId
from cli_multi_rapid.core.node_events import NodeAttemptFailed
from cli_multi_rapid.engine.attempt import AttemptRunner
from cli_multi_rapid.engine.attempt_terms import AttemptOrder, Told
from cli_multi_rapid.engine.inbox import AttemptEnded, Inbox
from cli_multi_rapid.machine_faults import machine_fault
from cli_multi_rapid.process_terms import CancelToken


class Dispatcher:
    """Starts and stops attempts. Called from the deciding thread only."""

    def __init__(self, runner: AttemptRunner, inbox: Inbox, workers: int) -> None:
        self._runner = runner
        self._inbox = inbox
        self._pool = ThreadPoolExecutor(workers, thread_name_prefix="worker")
        self._tokens: dict[NodeId, CancelToken] = {}

    @property
    def busy(self) -> bool:
        """Whether an attempt is under way."""
        return bool(self._tokens)

    def start(self, order: AttemptOrder) -> None:
        """Give an attempt to a worker."""
        token = self._tokens[order.node.id] = CancelToken()
        self._pool.submit(self._work, order, token)

    def stop(self, node_id: NodeId, reason: str) -> None:
        """Ask the attempt of a node to end, with its whole process tree."""
        token = self._tokens.get(node_id)
        if token is not None:
            token.cancel(reason)

    def stop_all(self, reason: str) -> None:
        """Ask every attempt to end."""
        for node_id in list(self._tokens):
            self.stop(node_id, reason)

    def done(self, node_id: NodeId) -> None:
        """The end of the attempt has been recorded."""
        self._tokens.pop(node_id).close()

    def close(self) -> None:
        """Wait for the workers; ask them to stop first when something still runs."""
        self.stop_all("the run is closing")
        self._pool.shutdown(wait=True)
        for token in self._tokens.values():
            token.close()
        self._tokens.clear()

    def _work(self, order: AttemptOrder, token: CancelToken) -> None:
        try:
            told = self._runner.run(order, token)
        except BaseException as error:  # noqa: BLE001  # the loop would wait for this attempt for ever
            fault = machine_fault(error)
            told = Told(fault=fault) if fault else Told(facts=(_broken(order, error),))
        self._inbox.put(
            AttemptEnded(node_id=order.node.id, attempt=order.attempt, facts=told.facts, fault=told.fault)
        )


def _broken(order: AttemptOrder, error: BaseException) -> NodeAttemptFailed:
    """A bug in a worker, which never raises otherwise, as the end of its attempt."""
    return NodeAttemptFailed(
        node_id=order.node.id,
        attempt=order.attempt,
        failure=FailureClass.ENVIRONMENT,
        reason=f"internal error: {type(error).__name__}",
        evidence="".join(traceback.format_tb(error.__traceback__)),
    )
