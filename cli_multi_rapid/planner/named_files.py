"""The files that a person names with a request: what kind of work each asks for, and what may be written."""

from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum
from fnmatch import fnmatchcase
from pathlib import PurePosixPath
from typing import Final

from msgspec import Struct

from cli_multi_rapid.core.claims import ClaimMode, InvalidGlob, PathClaim, parse_glob
from cli_multi_rapid.core.errors import UserError
from cli_multi_rapid.core.globs import is_inside


class FileKind(StrEnum):
    """What a file is for."""

    CODE = "code"
    TESTS = "tests"
    DOCS = "docs"
    CONFIG = "config"


_TEST_FOLDERS: Final = frozenset(("tests", "test", "__tests__", "spec", "specs", "e2e"))
_TEST_NAMES: Final = ("test_*", "*_test.*", "*.test.*", "*.spec.*", "conftest.py")
_DOC_FOLDERS: Final = frozenset(("docs", "doc", "documentation", "runbooks"))
_DOC_SUFFIXES: Final = frozenset((".md", ".rst", ".adoc", ".txt"))
_DOC_NAMES: Final = ("readme*", "changelog*", "contributing*", "license*", "notice*")
_CONFIG_SUFFIXES: Final = frozenset(
    (".toml", ".yaml", ".yml", ".ini", ".cfg", ".json", ".lock", ".conf", ".env")
)
_CONFIG_NAMES: Final = ("makefile", "dockerfile*", "compose.*", "requirements*.txt", "justfile", "procfile")
_LANGUAGES: Final[Mapping[str, str]] = {
    ".py": "python",
    ".pyi": "python",
    ".ts": "typescript",
    ".tsx": "typescript",
    ".js": "javascript",
    ".jsx": "javascript",
    ".mjs": "javascript",
    ".go": "go",
    ".rs": "rust",
    ".java": "java",
    ".kt": "kotlin",
    ".rb": "ruby",
    ".php": "php",
    ".cs": "csharp",
    ".c": "c",
    ".h": "c",
    ".cpp": "cpp",
    ".swift": "swift",
    ".sh": "shell",
    ".sql": "sql",
}
_TESTS_BESIDE: Final[Mapping[str, tuple[str, ...]]] = {
    "go": ("*_test.go",),
    "javascript": ("*.test.*", "*.spec.*"),
    "typescript": ("*.test.*", "*.spec.*"),
}
"""Names of tests that lie in the folder of the code."""


class NamedFile(Struct, frozen=True, kw_only=True):
    """One of the files, as a glob from the repository's root."""

    path: str
    """`src/auth/**` for a folder; the text as it was given otherwise."""
    kind: FileKind
    several: bool
    """Whether it names more than one file: a folder or a pattern."""
    language: str | None = None

    @property
    def claims(self) -> tuple[str, ...]:
        """The globs that work on it may write.

        Code and tests: all of its folder, for work on one file often needs another beside it. Documents and
        configuration: itself. A name that may be either a file or a folder counts as both.
        """
        if self.several:
            return (self.path,)
        if may_be_folder(self.path):
            return (self.path, f"{self.path}/**")
        folder = str(PurePosixPath(self.path).parent)
        if folder == "." or self.kind in (FileKind.DOCS, FileKind.CONFIG):
            return (self.path,)
        return (f"{folder}/**",)


def read_files(texts: Iterable[str]) -> tuple[NamedFile, ...]:
    """The files that were named, each once. Raises `UserError` that names all that cannot be paths."""
    found: dict[str, NamedFile] = {}
    wrong: list[str] = []
    for text in texts:
        path = _normalise(text)
        if not path:
            continue
        if any("\ud800" <= char <= "\udfff" for char in path):
            wrong.append(f"{path!a} is not UTF-8")
            continue
        try:
            glob = parse_glob(path)
        except InvalidGlob as error:
            wrong.append(str(error))
            continue
        kind = kind_of(path)
        several = not glob.is_path
        found[path] = NamedFile(path=path, kind=kind, several=several, language=language_of(path))
    if wrong:
        raise UserError(
            f"--files: {'; '.join(wrong)}",
            hint="name paths from the repository's root, such as src/auth/ or README.md",
        )
    return tuple(found.values())


def _normalise(text: str) -> str:
    path = text.strip()
    while path.startswith("./"):
        path = path[2:].lstrip("/")
    if path == "." or (not path and text.strip()):
        return "**"
    return f"{path}**" if path.endswith("/") and len(path) > 1 else path


def kind_of(path: str) -> FileKind:
    """What a path is for, by the names of its folders and of the file. What nothing tells is code."""
    pure = PurePosixPath(path.lower())
    name, folders = pure.name, pure.parts if pure.name == "**" or not pure.suffix else pure.parts[:-1]
    if _TEST_FOLDERS.intersection(folders) or _is_like(name, _TEST_NAMES):
        return FileKind.TESTS
    if _is_like(name, _CONFIG_NAMES) or pure.suffix in _CONFIG_SUFFIXES or pure.parts[0].startswith("."):
        return FileKind.CONFIG
    if _DOC_FOLDERS.intersection(folders) or pure.suffix in _DOC_SUFFIXES or _is_like(name, _DOC_NAMES):
        return FileKind.DOCS
    return FileKind.CODE


def may_be_folder(path: str) -> bool:
    """Whether a path without wildcards may as well be a folder: nothing is read to find out."""
    pure = PurePosixPath(path.lower())
    return not pure.suffix and not _is_like(pure.name, (*_DOC_NAMES, *_CONFIG_NAMES))


def _is_like(name: str, patterns: Iterable[str]) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in patterns)


def language_of(path: str) -> str | None:
    """The programming language of a path, by its ending."""
    return _LANGUAGES.get(PurePosixPath(path.lower()).suffix)


def claims_of(files: Iterable[NamedFile]) -> tuple[PathClaim, ...]:
    """Exclusive claims for the files, without those that another one covers."""
    globs = list(dict.fromkeys(glob for file in files for glob in file.claims))
    kept = [glob for at, glob in enumerate(globs) if not _covered(glob, globs[:at], globs[at + 1 :])]
    return exclusive(kept)


def _covered(glob: str, before: Sequence[str], after: Sequence[str]) -> bool:
    """Whether another glob covers this one; of two that cover each other the first stays."""
    if any(is_inside(glob, (other,)) for other in before):
        return True
    return any(is_inside(glob, (other,)) and not is_inside(other, (glob,)) for other in after)


def exclusive(globs: Iterable[str]) -> tuple[PathClaim, ...]:
    """Exclusive claims on these globs."""
    return tuple(PathClaim(path=glob, mode=ClaimMode.EXCLUSIVE) for glob in globs)


def test_places(languages: Iterable[str], code: Iterable[PathClaim]) -> tuple[str, ...]:
    """Where the tests of such code are kept: in `tests/`, or beside the code where the language does so."""
    beside = dict.fromkeys(name for language in languages for name in _TESTS_BESIDE.get(language, ()))
    if not beside:
        return ("tests/**",)
    roots = [claim.path.removesuffix("**") for claim in code if claim.path.endswith("**")] or [""]
    found = [f"{root}**/{name}" for root in roots for name in beside]
    return ("tests/**", *found)
