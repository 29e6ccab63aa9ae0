"""An answer that is not of the form that was asked for, as the end of its attempt; the next is told why."""

from collections.abc import Sequence
from typing import Final

from cli_multi_rapid.core.facts import FailureClass
from cli_multi_rapid.engine.attempt_terms import Failed, Judged, Sealed
from cli_multi_rapid.schema.problems import Problem, Problems, Severity

_SHOWN: Final = 10
"""Problems that are told at once: more would only repeat them."""
_LONGEST_ANSWER: Final = 1_500
"""Characters of the refused answer that the next attempt is shown."""


def errors_in(problems: Problems) -> list[Problem]:
    """Those that keep an answer from being used."""
    return [problem for problem in problems if problem.severity is Severity.ERROR]


def bad_answer(what: str, answer: str, errors: Sequence[Problem], ended: Sealed) -> Judged:
    """The end of an attempt whose answer has these errors. The evidence is what its next prompt shows."""
    first = errors[0]
    more = f" (and {len(errors) - 1} more)" if len(errors) > 1 else ""
    told = "\n".join(error.to_text() for error in errors[:_SHOWN])
    begun = answer if len(answer) <= _LONGEST_ANSWER else f"{answer[:_LONGEST_ANSWER]}\n[...]"
    dropped = (
        f"\nYou wrote files, which were thrown away: {', '.join(ended.dropped)}" if ended.dropped else ""
    )
    again = f"Answer again, wholly, without these problems:\n{told}{dropped}"
    return Judged(
        ended=Failed(
            failure=FailureClass.BAD_ANSWER,
            reason=f"{what} is not as asked for: {first.message}{more}",
            evidence=f"The answer was:\n{begun}\n\n{again}",
        )
    )
