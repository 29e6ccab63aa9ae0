"""How many examples hypothesis tries: few while somebody waits for the suite, many in `make properties`."""

import os

_THOROUGH = 6
"""How many times as many `make properties` tries."""


def examples(in_the_suite: int) -> int:
    """The number of examples of a property, given that of `make test`."""
    is_thorough = os.environ.get("HYPOTHESIS_PROFILE") == "thorough"
    return in_the_suite * (_THOROUGH if is_thorough else 1)
