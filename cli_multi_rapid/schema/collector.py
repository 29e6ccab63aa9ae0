"""Keep the garbage collector out of the way while large documents are read."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def collector_paused() -> Iterator[None]:
    """No cyclic garbage collection inside; counted references free everything else as always.

    A tree of a document has hundreds of thousands of tuples and no cycle. The collector would walk over all
    of them again and again: a third of the time that a plan of 5000 nodes takes.
    """
    if not gc.isenabled():
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
