"""An independent reading of globs: which of all short paths of a small alphabet each one matches."""

import re
from functools import cache
from itertools import product

from hypothesis import strategies as st

from cli_multi_rapid.core.claims import ClaimMode, PathClaim

WORDS = ["".join(chars) for size in range(1, 6) for chars in product("abx", repeat=size)]
PATHS = ["/".join(parts) for size in range(1, 6) for parts in product(("a", "b", "ab", "x"), repeat=size)]
_CLASSES = {"[ab]": "[ab]", "[!a]": "[^a/]", "[!ab]": "[^ab/]", "[a-b]": "[ab]", "?": "[^/]", "*": "[^/]*"}
_TOKEN = re.compile(r"\[.*?\]|.")


def _regex(glob: str) -> str:
    parts = glob.split("/")
    text = ""
    for at, part in enumerate(parts):
        if part == "**":
            text += "(?:[^/]+/)*" if at < len(parts) - 1 else "[^/]+(?:/[^/]+)*"
        else:
            text += "(?=[^/])" + "".join(_CLASSES.get(token, token) for token in _TOKEN.findall(part))
            text += "/" if at < len(parts) - 1 else ""
    return text


@cache
def language(glob: str) -> frozenset[str]:
    """The short paths that a glob matches, by the translation."""
    pattern = re.compile(_regex(glob))
    return frozenset(path for path in (*WORDS, *PATHS) if pattern.fullmatch(path))


def _part(*tokens: str) -> st.SearchStrategy[str]:
    joined = st.lists(st.sampled_from(tokens), min_size=1, max_size=3).map("".join)
    return joined.filter(lambda part: "**" not in part)


PART_GLOBS = _part("a", "b", "?", "*", "[ab]", "[!a]", "[!ab]", "[a-b]")
PATH_GLOBS = st.lists(st.sampled_from(("a", "b", "*", "a*", "**")), min_size=1, max_size=3).map("/".join)
SETS_OF_GLOBS = st.lists(PART_GLOBS, min_size=4, max_size=4) | st.lists(PATH_GLOBS, min_size=4, max_size=4)
ANY_GLOBS = st.lists(
    _part("a", "b", ".py", "?", "*", "[ab]", "[!a]") | st.just("**"), min_size=1, max_size=4
).map("/".join)


def claims(*texts: str, mode: ClaimMode = ClaimMode.EXCLUSIVE) -> list[PathClaim]:
    """A claim of one mode on each glob."""
    return [PathClaim(path=text, mode=mode) for text in texts]
