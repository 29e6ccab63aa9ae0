"""What is read from git's files is what git itself says, and where the files do not tell, git is asked."""

import os
import subprocess
import time
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from cli_multi_rapid.core.errors import EnvironmentFault
from cli_multi_rapid.core.ids import Branch, Commit
from cli_multi_rapid.git import ANY, RefChange, Repository, open_repository
from cli_multi_rapid.git_files import commit_in_file, header_of, is_near_ancestor, refs_in_files
from tests.fakes.repositories import RepositoryBuilder, git_environment, make_repository

OURS = "refs/cli-orchestrator"


@pytest.fixture
def builder(tmp_path: Path) -> RepositoryBuilder:
    return make_repository(tmp_path / "repo")


@pytest.fixture
def repository(builder: RepositoryBuilder, tmp_path: Path) -> Repository:
    return open_repository(builder.path, tmp_path / "scratch")


def as_git_says(builder: RepositoryBuilder, *prefixes: str) -> dict[str, str]:
    lines = builder.git("for-each-ref", "--format=%(refname) %(objectname)", "--", *prefixes).split("\n")
    return dict(line.split(" ") for line in lines if line)


def in_files(builder: RepositoryBuilder, *prefixes: str) -> dict[str, Commit] | None:
    found = refs_in_files(builder.path / ".git", *prefixes)
    return None if found is None else dict(found)


def object_file(builder: RepositoryBuilder, name: str) -> Path:
    return builder.path / ".git" / "objects" / name[:2] / name[2:]


# --- refs ---------------------------------------------------------------------------------------------------


QUESTIONS = [
    ("refs/heads/",),
    ("refs/heads/main",),
    ("refs/heads/lane",),
    ("refs/heads/lane/",),
    ("refs/heads/la",),
    ("refs/heads/main/below",),
    ("refs/heads/none", "refs/heads/lane/r"),
    (f"{OURS}/", "refs/heads/main"),
    (f"{OURS}/landed/r/n",),
]


@pytest.mark.parametrize("packed", ["never", "before the last moves", "all of them"])
@pytest.mark.parametrize("prefixes", QUESTIONS)
def test_refs_are_those_that_git_lists(
    builder: RepositoryBuilder, prefixes: tuple[str, ...], packed: str
) -> None:
    for name in ("lane/r/a", "lane/r/b", "lane/s/a", "lanes", "main2"):
        builder.branch(name)
    for name in ("landed/r/n", "landed/r/n2", "candidate/main/x"):
        builder.git("update-ref", f"{OURS}/{name}", "HEAD")
    builder.git("tag", "-a", "-m", "a tag between them", "v1")
    if packed != "never":
        builder.git("pack-refs", "--all", "--prune")
    if packed != "all of them":
        builder.commit_on("lane/r/b", {"b.txt": "b\n"})
        builder.git("update-ref", "-d", "refs/heads/lane/s/a")
        builder.branch("lane/r/fresh", "lane/r/b")
    assert in_files(builder, *prefixes) == as_git_says(builder, *prefixes)


def test_what_is_no_ref_is_looked_over(builder: RepositoryBuilder) -> None:
    heads = builder.path / ".git/refs/heads"
    (heads / "main.lock").write_text("")
    (heads / "empty/folder").mkdir(parents=True)
    assert in_files(builder, "refs/heads/") == as_git_says(builder, "refs/heads/")


@pytest.mark.parametrize("name", [b"a./b", b"caf\xe9", b"/".join([b"d" * 200] * 6)])
def test_a_name_that_is_refused_here_is_listed_all_the_same(
    builder: RepositoryBuilder, repository: Repository, name: bytes
) -> None:
    ref = f"refs/heads/{os.fsdecode(name)}"
    first = builder.head
    builder.git("update-ref", ref, first)
    assert repository.refs("refs/heads/") == {ref: first, "refs/heads/main": first}
    builder.git("pack-refs", "--all", "--prune")
    second = builder.commit({"a.txt": "a\n"})
    builder.git("update-ref", ref, second)
    assert repository.refs("refs/heads/") == {ref: second, "refs/heads/main": second}


def test_where_the_files_do_not_tell_git_is_asked(builder: RepositoryBuilder, repository: Repository) -> None:
    builder.git("symbolic-ref", "refs/heads/alias", "refs/heads/main")
    assert in_files(builder, "refs/heads/") is None
    assert repository.branch_tip(Branch("alias")) == builder.head
    assert repository.refs("refs/heads/") == {
        "refs/heads/alias": builder.head,
        "refs/heads/main": builder.head,
    }


@pytest.mark.parametrize("content", ["", "0" * 40, "ref: refs/heads/main", "f" * 39, "\xff", " " + "f" * 40])
def test_a_damaged_ref_is_for_git_to_judge(builder: RepositoryBuilder, content: str) -> None:
    (builder.path / ".git/refs/heads/bad").write_text(content)
    assert in_files(builder, "refs/heads/bad") is None
    assert in_files(builder, "refs/heads/main") == {"refs/heads/main": builder.head}


@pytest.mark.parametrize("zeros", [False, True])
def test_packed_refs_that_were_cut_off_are_for_git_to_judge(
    builder: RepositoryBuilder, repository: Repository, zeros: bool
) -> None:
    head = builder.head
    builder.git("pack-refs", "--all", "--prune")
    packed = builder.path / ".git/packed-refs"
    content = packed.read_bytes()
    packed.write_bytes(bytes(len(content)) if zeros else content[:-3])
    assert in_files(builder, "refs/heads/main") is None
    assert commit_in_file(repository.plumbing, head) is None
    with pytest.raises(EnvironmentFault, match="unterminated line"):
        repository.branch_tip(Branch("main"))


def test_packed_refs_are_read_again_though_the_clock_stood_still(builder: RepositoryBuilder) -> None:
    """The version after the next may have the inode of this one, and its size."""
    packed = builder.path / ".git/packed-refs"
    moment = int(time.time()) + 60
    for digit in "12":
        packed.write_text(f"{digit * 40} refs/heads/lane\n")
        os.utime(packed, (moment, moment))
        assert in_files(builder, "refs/heads/lane") == {"refs/heads/lane": digit * 40}


def test_settled_packed_refs_are_read_once(
    builder: RepositoryBuilder, monkeypatch: pytest.MonkeyPatch
) -> None:
    builder.git("pack-refs", "--all", "--prune")
    os.utime(builder.path / ".git/packed-refs", (1_600_000_000, 1_600_000_000))
    expected = {"refs/heads/main": builder.head}
    assert in_files(builder, "refs/heads/main") == expected
    monkeypatch.setattr("cli_multi_rapid.git_files._whole", None)
    assert in_files(builder, "refs/heads/main") == expected


def test_tags_may_name_no_commit_and_are_left_to_git(builder: RepositoryBuilder) -> None:
    builder.git("tag", "v1")
    assert in_files(builder, "refs/tags/v1") is None
    assert in_files(builder, "refs/heads/main", "refs/") is None
    assert in_files(builder) is None


def test_another_storage_is_left_to_git(builder: RepositoryBuilder) -> None:
    assert in_files(builder, "refs/heads/none") == {}
    (builder.path / ".git/reftable").mkdir()
    assert in_files(builder, "refs/heads/main") is None


def test_refs_that_lie_in_another_place_are_left_to_git(builder: RepositoryBuilder) -> None:
    """Newer gits leave a file there, so that older ones find no branches by mistake."""
    heads = builder.path / ".git/refs/heads"
    heads.rename(builder.path / "elsewhere")
    assert in_files(builder, f"{OURS}/landed/r/n") is None
    heads.write_text("this repository uses another format\n")
    assert in_files(builder, "refs/heads/main") is None


def test_a_link_in_the_folder_of_refs_is_left_to_git(builder: RepositoryBuilder) -> None:
    (builder.path / ".git/refs/heads/round").symlink_to(builder.path / ".git/refs/heads")
    assert in_files(builder, "refs/heads/") is None


def test_a_ref_is_there_in_every_moment_of_packing(
    builder: RepositoryBuilder, repository: Repository
) -> None:
    """Git writes the packed file first and removes the loose one then; other branches move meanwhile."""
    watched, head = builder.branch("watched"), builder.head
    other = RefChange(ref="refs/heads/other", old=ANY, new=head)

    def pack() -> None:
        for _ in range(8):
            builder.git("update-ref", "refs/heads/watched", "HEAD")
            builder.git("pack-refs", "--all", "--prune")
            repository.update_refs([other])

    with ThreadPoolExecutor(1) as pool:
        packing = pool.submit(pack)
        looks = 0
        while not packing.done():
            assert repository.branch_tip(watched) == head
            looks += 1
        packing.result()
    assert looks > 0


# --- commits ------------------------------------------------------------------------------------------------


def as_git_shows(builder: RepositoryBuilder, commit: str) -> bytes:
    done = builder.try_git("cat-file", "commit", commit)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_loose_commit_is_read_as_git_shows_it(builder: RepositoryBuilder, repository: Repository) -> None:
    side = builder.commit_on("side", {"s.txt": "s\n"}, "ümlaut")
    builder.git("merge", "-q", "--no-ff", "-m", "both", "side")
    content = b""
    for commit in (side, builder.head):
        content = commit_in_file(repository.plumbing, commit) or b""
        assert content == as_git_shows(builder, commit)
    parents = [value for key, value in header_of(content) if key == "parent"]
    assert parents == builder.git("rev-parse", "HEAD^1", "HEAD^2").split("\n")


def test_a_packed_commit_is_left_to_git(builder: RepositoryBuilder, repository: Repository) -> None:
    builder.git("repack", "-q", "-a", "-d")
    assert commit_in_file(repository.plumbing, builder.head) is None
    assert repository.tree_of(builder.head) == builder.tree_of("HEAD")
    assert repository.missing([builder.head, Commit("e" * 40)]) == {Commit("e" * 40)}


def test_what_is_no_commit_is_left_to_git(builder: RepositoryBuilder, repository: Repository) -> None:
    git = repository.plumbing
    builder.write({"big.txt": "x" * 3_000_000})
    blob = builder.git("hash-object", "-w", "big.txt")
    for name in (builder.tree_of("HEAD"), blob, "e" * 40, "HEAD", "", "../../config"):
        assert commit_in_file(git, Commit(name)) is None


@pytest.mark.parametrize("damage", ["cut", "no zlib", "another commit", "a pipe's end"])
def test_a_damaged_commit_is_left_to_git(
    builder: RepositoryBuilder, repository: Repository, damage: str
) -> None:
    commit = builder.head
    file = object_file(builder, commit)
    content = file.read_bytes()
    file.unlink()
    if damage == "cut":
        file.write_bytes(content[: len(content) // 2])
    elif damage == "no zlib":
        file.write_bytes(b"not compressed")
    elif damage == "another commit":
        whole = zlib.decompress(content)
        file.write_bytes(zlib.compress(whole.replace(b"Ada", b"Bob")))
    else:
        file.mkdir()
    assert commit_in_file(repository.plumbing, commit) is None


@pytest.mark.parametrize("packed", [False, True])
def test_replaced_objects_are_shown_as_git_shows_them(
    builder: RepositoryBuilder, repository: Repository, packed: bool
) -> None:
    first = builder.head
    second = builder.commit({"a.txt": "a\n"})
    builder.git("replace", first, second)
    if packed:
        builder.git("pack-refs", "--all", "--prune")
    assert commit_in_file(repository.plumbing, first) is None
    assert repository.tree_of(first) == builder.tree_of("HEAD")


def test_ancestors_are_known_near_and_far(builder: RepositoryBuilder, repository: Repository) -> None:
    first = builder.head
    side = builder.commit_on("side", {"s.txt": "s\n"})
    line = [builder.commit(message=f"number {number}") for number in range(12)]
    git = repository.plumbing
    assert is_near_ancestor(git, line[-3], line[-1])
    assert not is_near_ancestor(git, first, line[-1])  # too far to tell
    assert repository.is_ancestor(first, line[-1])
    assert not repository.is_ancestor(side, line[-1])
    assert not repository.is_ancestor(line[-1], line[-2])


def test_a_parent_that_a_shallow_clone_has_cut_off_is_no_ancestor(
    builder: RepositoryBuilder, tmp_path: Path
) -> None:
    first = builder.head
    second = builder.commit({"a.txt": "a\n"})
    clone = RepositoryBuilder(path=tmp_path / "shallow")
    subprocess.run(
        ["git", "clone", "-q", "--depth=1", f"file://{builder.path}", clone.path],
        env=git_environment(builder.path) | {"GIT_ALLOW_PROTOCOL": "file"},
        check=True,
    )
    clone.git("-c", "transfer.unpackLimit=100", "fetch", "-q", str(builder.path), f"+{first}:refs/heads/old")
    content = builder.try_git("cat-file", "commit", second).stdout
    clone.git("hash-object", "-t", "commit", "-w", "--stdin", stdin=content)
    (clone.path / ".git/shallow").write_text(f"{second}\n")
    repository = open_repository(clone.path, tmp_path / "scratch")
    assert not is_near_ancestor(repository.plumbing, first, second)
    assert repository.is_ancestor(first, second) is (
        clone.try_git("merge-base", "--is-ancestor", first, second).returncode == 0
    )


# --- subjects -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "message",
    [
        *("one line", "ümlaut", "two\nlines\n\nand a body", "\n\n  late\n start \n\nbody", "", "tabs\there"),
        *(" \n\t\nlate", "title\n \t\nbody", "title\r\nline\r\n\r\nbody\r\n"),
    ],
)
def test_the_subject_of_a_commit_is_that_of_git(
    builder: RepositoryBuilder, repository: Repository, message: str
) -> None:
    builder.git("commit", "-q", "--allow-empty", "--allow-empty-message", "--cleanup=verbatim", "-m", message)
    assert repository.subject(builder.head) == builder.git("log", "-1", "--format=%s")


def test_the_subject_of_a_commit_in_another_encoding_is_read(
    builder: RepositoryBuilder, repository: Repository
) -> None:
    builder.git(
        "-c", "i18n.commitEncoding=ISO-8859-1", "commit", "-q", "--allow-empty", "-F", "-",
        stdin="größer".encode("latin-1"),
    )  # fmt: skip
    assert repository.subject(builder.head) == "größer"


@pytest.mark.parametrize(
    ("encoding", "message", "subject"),
    [
        *(("undefined", b"hi", "hi"), ("idna", b"hi", "hi"), ("a\0b", b"hi", "hi"), ("hex", b"hi", "hi")),
        ("punycode", b"\xff", "\ufffd"),
        ("punycode", b"a" * 200_000, "\x80" * 4096),
        ("unicode_escape", rb"\ud800", "?"),
        ("utf-7", b"+2AA-", "?"),
    ],
)
def test_a_commit_cannot_say_that_its_message_is_no_text(
    builder: RepositoryBuilder, repository: Repository, encoding: str, message: bytes, subject: str
) -> None:
    body = builder.try_git("cat-file", "commit", builder.head).stdout.partition(b"\n\n")[0]
    body += b"\nencoding %s\n\n%s\n" % (encoding.encode(), message)
    name = builder.git("hash-object", "-t", "commit", "-w", "--literally", "--stdin", stdin=body)
    assert repository.subject(Commit(name)) == subject
