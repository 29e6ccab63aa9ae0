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


@pytest.mark.parametrize("written", ["", "# Written by cli-orch"])
def test_an_ignore_file_that_a_full_disk_cut_short_is_mended(tmp_path: Path, written: str) -> None:
    repository = make_repository(tmp_path / "r")
    repository.write({"state/.gitignore": written})
    wiring.find_home(repository.path).prepare()
    assert repository.status() == ""
    assert [path.name for path in (repository.path / "state").iterdir()] == [".gitignore"]


def test_an_ignore_file_that_somebody_changed_stays(tmp_path: Path) -> None:
    repository = make_repository(tmp_path / "r")
    repository.write({"state/.gitignore": "*.db\n"})
    wiring.find_home(repository.path).prepare()
    assert (repository.path / "state/.gitignore").read_text() == "*.db\n"


def test_what_is_kept_is_for_its_user_alone_also_in_folders_that_git_made(tmp_path: Path) -> None:
    repository = make_repository(tmp_path / "r", {"state/.gitkeep": "", "artifacts/.gitkeep": ""})
    for name in ("state", "artifacts"):
        (repository.path / name).chmod(0o755)
    wiring.find_home(repository.path).prepare()
    modes = [(repository.path / name).stat().st_mode & 0o777 for name in ("state", "artifacts")]
    assert modes == [0o700, 0o700]
    assert repository.status() == ""
