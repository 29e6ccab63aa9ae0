"""Where scripts are played: which turn a request gets, and the record of all that was played."""

import itertools
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from tests.fakes.model_server.exchange import Exchange, Question
from tests.fakes.model_server.script import Answer, Cut, Fault, Gather, Refuse, Say, Script, Silence, step_at

LONGEST_WAIT_S: Final = 240.0
"""For scripts that gather, and for whoever waits for a record: longer is a failure, not patience."""

_NOTHING: Final = Say(text="")


@dataclass(frozen=True, slots=True, kw_only=True)
class Move:
    """What one request gets: an answer, spoiled by a fault or not."""

    answer: Answer
    fault: Refuse | Cut | Silence | None = None


class Stage:
    """Thread-safe; every request asks it from a thread of its own."""

    def __init__(self, scripts: Mapping[str, Script]) -> None:
        self._scripts = dict(scripts)
        self._changed = threading.Condition()
        self._played: Counter[tuple[str, int]] = Counter()
        self._gathered: dict[str, set[str]] = {}
        self._asked: Counter[str] = Counter()
        self._exchanges: list[Exchange] = []
        self._under_way = 0
        self._closed = False

    def arrive(self, question: Question) -> None:
        """A request is here; `record` must follow."""
        with self._changed:
            self._asked[question.script] += 1
            self._under_way += 1
            self._changed.notify_all()

    def move(self, question: Question) -> Move:
        """The turn that a request gets; it may have to wait for other scripts first."""
        with self._changed:
            if question.script not in self._scripts:
                return _refused(f"there is no script {question.script}")
            step = step_at(self._scripts[question.script], question.answered)
            for place, fault in step.faults:
                if not self._is_due(question.script, place, fault):
                    continue
                if not isinstance(fault, Gather):
                    return Move(answer=step.answer or _NOTHING, fault=fault)
                if not self._wait_for_the_others(question.script, fault):
                    return _refused(
                        f"{len(self._gathered[fault.name])} of {fault.count} came to {fault.name}"
                    )
            if step.answer is None:
                return _refused(f"the script {question.script} has no answer {question.answered + 1}")
            return Move(answer=step.answer)

    def close(self) -> None:
        """Nobody need wait any longer."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def record(self, exchange: Exchange) -> None:
        """Keep how a request ended."""
        with self._changed:
            self._under_way -= 1
            self._exchanges.append(exchange)
            self._changed.notify_all()

    def exchanges(self, script: str | None = None) -> tuple[Exchange, ...]:
        """Every request that has ended, of one script or of all, in the order of their beginnings."""
        with self._changed:
            known = sorted(self._exchanges, key=lambda exchange: exchange.began)
            return tuple(exchange for exchange in known if script in (None, exchange.script))

    def settled(self, script: str | None = None) -> tuple[Exchange, ...]:
        """The same, once no request is under way: a client has its reply before the record is written."""
        self._wait(lambda: not self._under_way, "a request is under way")
        return self.exchanges(script)

    def follow(self) -> Iterator[Exchange]:
        """Every exchange in the order of their ends, for ever."""
        for place in itertools.count():
            with self._changed:
                while len(self._exchanges) <= place:
                    self._changed.wait()
                exchange = self._exchanges[place]
            yield exchange

    def wait_until_asked(self, script: str, times: int = 1) -> None:
        """Return as soon as a script was asked for so often. Raises `TimeoutError` in the end."""
        self._wait(lambda: self._asked[script] >= times, f"{script} was not asked for {times} times")

    def _is_due(self, script: str, place: int, fault: Fault) -> bool:
        if fault.times is not None and self._played[script, place] >= fault.times:
            return False
        self._played[script, place] += 1
        return True

    def _wait_for_the_others(self, script: str, gather: Gather) -> bool:
        here = self._gathered.setdefault(gather.name, set())
        here.add(script)
        self._changed.notify_all()
        self._changed.wait_for(lambda: self._closed or len(here) >= gather.count, LONGEST_WAIT_S)
        return len(here) >= gather.count

    def _wait(self, predicate: Callable[[], bool], otherwise: str) -> None:
        with self._changed:
            if not self._changed.wait_for(predicate, LONGEST_WAIT_S):
                raise TimeoutError(otherwise)


def _refused(message: str) -> Move:
    # 400: no client tries that again, so a mistake in a script ends its test at once.
    return Move(answer=_NOTHING, fault=Refuse(status=400, message=message))
