"""Where a command works: the repository that was named, and the home of its records."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct

if TYPE_CHECKING:
    from cli_multi_rapid.engine.home import Home
    from cli_multi_rapid.wiring import Records


class Place(Struct, frozen=True, kw_only=True):
    """`--repo` and `--home` as they were given."""

    repo: Path
    """A folder in the repository; the current one by default."""
    home: Path | None = None

    @property
    def root(self) -> Path:
        """The root of the repository, or the folder itself outside of one."""
        from cli_multi_rapid.wiring import repository_root

        return repository_root(self.repo)

    def find_home(self) -> "Home":
        """Where `state/` and `artifacts/` are."""
        from cli_multi_rapid.wiring import find_home

        return find_home(self.repo, self.home)

    @property
    def has_records(self) -> bool:
        """Whether anything was ever recorded here."""
        return self.find_home().database.exists()

    @contextmanager
    def open_records(self) -> "Iterator[Records]":
        """The records of the runs here. Raises `UserError` when there are none."""
        from cli_multi_rapid.wiring import open_records

        with open_records(self.find_home()) as records:
            yield records
