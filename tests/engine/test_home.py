"""Where runs are kept: beside the repository, or in a place of its own that serves one repository only."""

from pathlib import Path

import pytest

from cli_multi_rapid import wiring
from cli_multi_rapid.core.errors import UserError
from tests.fakes.repositories import make_repository


def test_two_repositories_cannot_share_a_home_because_their_branches_have_the_same_names(
    tmp_path: Path,
) -> None:
    one, other = make_repository(tmp_path / "one"), make_repository(tmp_path / "other")
    home = tmp_path / "home"
    for _ in range(2):
        with wiring.open_workshop(one.path, home) as shop:
            assert shop.home.root == home
    with pytest.raises(UserError, match="holds the runs of another repository") as refused:
        wiring.open_workshop(other.path, home).__enter__()
    assert str(one.path) in refused.value.message
    assert "--home" in refused.value.hint


def test_a_home_follows_its_repository_when_that_is_moved(tmp_path: Path) -> None:
    repository, home = make_repository(tmp_path / "before"), tmp_path / "home"
    with wiring.open_workshop(repository.path, home):
        pass
    moved = repository.path.rename(tmp_path / "after")
    with wiring.open_workshop(moved, home) as shop:
        assert shop.home.root == home
