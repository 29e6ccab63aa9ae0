"""What is wrong with a document: every problem at once, each with a place, a frame and what to do."""

from collections.abc import Iterable, Iterator
from enum import Enum, StrEnum
from typing import Final

from msgspec import Struct, field

from cli_multi_rapid.core.errors import UserError
from cli_multi_rapid.core.plan import Json
from cli_multi_rapid.schema.source import Place


class Severity(StrEnum):
    """How much a problem matters."""

    ERROR = "error"
    """The document is refused."""
    WARNING = "warning"
    """It is read, but probably does not say what was meant."""
    NOTICE = "notice"
    """Worth knowing before the run."""


class Code(Enum):
    """Every kind of problem: a stable code for scripts and a name for people."""

    UNREADABLE = "E001", "unreadable"
    ENCODING = "E002", "not-utf8"
    TOO_LARGE = "E003", "too-large"
    EMPTY = "E004", "empty-document"
    SYNTAX = "E005", "syntax"
    DUPLICATE_KEY = "E006", "duplicate-key"
    TOO_DEEP = "E007", "too-deep"
    TOO_MANY_ALIASES = "E008", "too-many-aliases"
    SEVERAL_DOCUMENTS = "E009", "several-documents"
    BAD_KEY = "E010", "bad-key"
    TAG = "E011", "unknown-tag"
    CHARACTER = "E012", "forbidden-character"
    ALIAS = "E013", "bad-alias"
    MERGE_KEY = "E014", "bad-merge-key"

    UNKNOWN_KEY = "E101", "unknown-key"
    WRONG_TYPE = "E102", "wrong-type"
    MISSING_KEY = "E103", "missing-key"
    TWO_SPELLINGS = "E104", "two-spellings"
    BAD_VALUE = "E105", "bad-value"
    BAD_AMOUNT = "E106", "bad-amount"
    BAD_ID = "E107", "bad-id"
    BAD_GLOB = "E108", "bad-glob"
    UNKNOWN_PARAM = "E109", "unknown-param"
    BAD_BRANCH = "E110", "bad-branch"
    BAD_PATH = "E111", "bad-path"
    UNKNOWN_KIND = "E112", "unknown-kind"
    UNSAFE_PARAM = "E113", "unsafe-param"

    DUPLICATE_ID = "E201", "duplicate-id"
    UNKNOWN_DEP = "E202", "unknown-dep"
    SELF_DEP = "E203", "self-dep"
    CYCLE = "E204", "cycle"
    ORDER_WITHOUT_DEPS = "E205", "order-without-deps"

    OUTSIDE_CLAIMS = "E301", "output-outside-claims"
    OVERLAP = "E302", "overlapping-claims"
    NO_CLAIMS = "E303", "no-claims"

    UNKNOWN_TOOL = "E401", "unknown-tool"
    WORK = "E402", "tool-and-work"
    UNKNOWN_CHECK = "E403", "unknown-check"
    NO_EFFECT = "E404", "no-effect"

    UNKNOWN_STREAM = "E501", "unknown-stream"
    STREAM_TWICE = "E502", "stream-twice"
    STREAM_NOT_ORDERED = "E503", "stream-not-ordered"
    UNDEFINED_PHASE = "E504", "undefined-phase"
    PHASE_TWICE = "E505", "phase-twice"
    UNKNOWN_ACTION = "E506", "unknown-action"
    UNKNOWN_PHASE_DEP = "E507", "unknown-phase-dep"

    UNKNOWN_VARIABLE = "E601", "unknown-variable"

    def __init__(self, code: str, title: str) -> None:
        self.code = code
        self.title = title


MOST_ERRORS: Final = 2500
"""Nobody reads on after so many, and each costs a search for what was meant."""


class Problem(Struct, frozen=True, kw_only=True):
    """One thing that is wrong, as it is shown."""

    file: str
    line: int
    """Counted from 1, as is `column`; 0 when the problem is with the file as a whole."""
    column: int
    code: Code
    message: str
    severity: Severity = Severity.ERROR
    frame: str = ""
    notes: tuple[str, ...] = ()
    suggestion: str = ""

    def to_text(self) -> str:
        """`file:line:col: error[code]: message`, the frame, the notes and the help."""
        where = f"{self.file}:{self.line}:{self.column}" if self.line else self.file
        lines = [f"{where}: {self.severity}[{self.code.code}]: {self.message}"]
        if self.frame:
            lines.append(self.frame)
        lines += [f"  = note: {note}" for note in self.notes]
        if self.suggestion:
            lines.append(f"  = help: {self.suggestion}")
        return "\n".join(lines)

    def to_data(self) -> dict[str, Json]:
        """The problem as an element of the published `problems` document."""
        return {
            "file": self.file,
            "line": self.line,
            "column": self.column,
            "severity": self.severity.value,
            "code": self.code.code,
            "title": self.code.title,
            "message": self.message,
            "frame": self.frame,
            "notes": list(self.notes),
            "suggestion": self.suggestion,
        }


class InvalidInput(UserError):
    """A document was refused; carries all its problems."""

    def __init__(self, problems: "Problems") -> None:
        count = problems.error_count
        what = "1 problem" if count == 1 else f"{count} problems"
        what = f"more than {what}" if count >= MOST_ERRORS else what
        super().__init__(f"{what} in the input\n{problems.to_text()}")
        self.problems = problems


class Problems(Struct):
    """Collects problems while documents are read. Iterates in the order of files and places.

    With `MOST_ERRORS` errors the reading ends: then every method that takes note raises `InvalidInput`.
    """

    _found: list[Problem] = field(default_factory=list)
    error_count: int = 0

    def add(self, problem: Problem) -> None:
        """Take note of one problem; the same one a second time changes nothing."""
        if problem in self._found[-20:]:  # an anchor that is used in many places is wrong only once
            return
        self._found.append(problem)
        self.error_count += problem.severity is Severity.ERROR
        if self.error_count >= MOST_ERRORS and problem.severity is Severity.ERROR:
            raise InvalidInput(self)

    def extend(self, others: Iterable[Problem]) -> None:
        """Take note of problems that were collected elsewhere."""
        for problem in others:
            self.add(problem)

    def report(
        self,
        code: Code,
        place: Place,
        message: str,
        *,
        suggestion: str = "",
        notes: Iterable[str] = (),
        severity: Severity = Severity.ERROR,
    ) -> None:
        """Take note of a problem at a place."""
        line, column = place.source.line_and_column(place.offset)
        self.add(
            Problem(
                file=place.source.name,
                line=line,
                column=column,
                code=code,
                message=message,
                severity=severity,
                frame=place.source.frame(place.offset),
                notes=tuple(notes),
                suggestion=suggestion,
            )
        )

    def report_file(self, code: Code, name: str, message: str, *, suggestion: str = "") -> None:
        """Take note of a problem with a file as a whole."""
        self.add(Problem(file=name, line=0, column=0, code=code, message=message, suggestion=suggestion))

    def __iter__(self) -> Iterator[Problem]:
        return iter(sorted(self._found, key=lambda p: (p.file, p.line, p.column, p.code.code)))

    def __len__(self) -> int:
        return len(self._found)

    def to_text(self) -> str:
        """All problems for a terminal, errors and the rest in the order of their places."""
        return "\n".join(problem.to_text() for problem in self)

    def to_data(self) -> dict[str, Json]:
        """The published `problems` document."""
        return {
            "schema_version": SCHEMA_VERSION,
            "valid": self.error_count == 0,
            "problems": [problem.to_data() for problem in self],
        }

    def raise_errors(self) -> None:
        """Raises `InvalidInput` when there is an error among them."""
        if self.error_count:
            raise InvalidInput(self)


SCHEMA_VERSION: Final = 1
"""Of every JSON document whose schema is published here."""
