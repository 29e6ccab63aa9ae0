"""A document while it is read: where problems go, and what its texts may refer to."""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from cli_multi_rapid.core.claims import InvalidGlob, parse_glob
from cli_multi_rapid.core.plan import Json
from cli_multi_rapid.schema.names import did_you_mean, what_is_wrong_with_id
from cli_multi_rapid.schema.params import UnknownParam, expand, is_plain, names_in
from cli_multi_rapid.schema.problems import Code, Problems, Severity
from cli_multi_rapid.schema.source import Place, Source, quoted
from cli_multi_rapid.schema.values import Items, Scalar, Table, Value, describe, is_null, plain_data

_MANY = 100
"""From so many candidates on, looking for a close one takes milliseconds."""
_SLOW_SEARCHES = 30
"""How many such searches one document gets: the first messages teach as much as the thousandth."""


class Text(NamedTuple):
    """A text that was read, and the scalar it comes from."""

    text: str
    at: Scalar


class Reading:
    """What all readers of one document share."""

    def __init__(
        self, source: Source, problems: Problems, *, params: Mapping[str, str] | None = None
    ) -> None:
        self.source = source
        self.problems = problems
        self.params = params
        """None: texts are taken as they are."""
        self._searches = _SLOW_SEARCHES

    def place(self, value: Value) -> Place:
        """Where a value stands."""
        return Place(source=self.source, offset=value.offset)

    def line(self, value: Value) -> int:
        """The line of a value, counted from 1."""
        return self.source.line_and_column(value.offset)[0]

    def report(
        self,
        code: Code,
        at: Value,
        message: str,
        *,
        suggestion: str = "",
        notes: Iterable[str] = (),
        severity: Severity = Severity.ERROR,
    ) -> None:
        """Note a problem at a value."""
        self.problems.report(
            code, self.place(at), message, suggestion=suggestion, notes=notes, severity=severity
        )

    def did_you_mean(self, name: str, known: Iterable[str]) -> str:
        """`did you mean …?`, or an empty text."""
        candidates = list(known)
        if len(candidates) > _MANY:
            self._searches -= 1
            if self._searches < 0:
                return ""
        return did_you_mean(name, candidates)

    def text(self, value: Value, what: str) -> Text | None:
        """A text with its params expanded; numbers and booleans are taken as they were written."""
        if type(value) is not Scalar or is_null(value):
            self.wrong_type(value, what, "a text")
            return None
        return Text(self.expand(value.text, value), value)

    def expand(self, text: str, at: Value) -> str:
        """A text with its params expanded."""
        if self.params is None or "{params." not in text:
            return text
        try:
            return expand(text, self.params)
        except UnknownParam as error:
            known = sorted(self.params)
            fallback = f"params are: {', '.join(known)}" if known else "define it: params: {name: value}"
            self.report(
                Code.UNKNOWN_PARAM,
                at,
                f"there is no param {quoted(error.name)}",
                suggestion=self.did_you_mean(error.name, known) or fallback,
            )
            return text

    def shell_line(self, value: Value, what: str) -> Text | None:
        """A line for a shell. Params may not bring anything into it that the shell would interpret."""
        text = self.text(value, what)
        if text is not None and self.params is not None and "{params." in text.at.text:
            for name in sorted(names_in(text.at.text)):
                if not is_plain(self.params.get(name, "")):
                    self._refuse_in_shell(name, self.params[name], text.at, what)
        return text

    def _refuse_in_shell(self, name: str, value: str, at: Value, what: str) -> None:
        self.report(
            Code.UNSAFE_PARAM,
            at,
            f"the param {quoted(name)} is {quoted(value)}, which a shell would interpret in {what}",
            notes=["letters, digits and _./:@%+=,- mean nothing but themselves to a shell"],
            suggestion=f"use argv: [program, '${{params.{name}}}'], which needs no shell, "
            f"or env: {{VALUE: '${{params.{name}}}'}} with \"$VALUE\" in the line",
        )

    def texts(self, value: Value, what: str) -> tuple[Text, ...]:
        """A list of texts."""
        if not isinstance(value, Items):
            hint = f"write [{value.text}]" if isinstance(value, Scalar) and not is_null(value) else ""
            self.wrong_type(value, what, "a list of texts", suggestion=hint)
            return ()
        found = (self.text(item, f"each of {what}") for item in value.items)
        return tuple(text for text in found if text is not None)

    def data(self, value: Value) -> Json:
        """Plain data with the params in its texts expanded."""
        if isinstance(value, Items):
            return [self.data(item) for item in value.items]
        if isinstance(value, Table):
            return {name: self.data(entry.value) for name, entry in value.entries.items()}
        data = plain_data(value)
        return self.expand(data, value) if isinstance(data, str) else data

    def wrong_type(self, value: Value, what: str, expected: str, *, suggestion: str = "") -> None:
        """Note that a value is not what is expected."""
        found = describe(value)
        if found == "the text" and isinstance(value, Scalar):
            found = f"the text {quoted(value.text)}"
        self.report(
            Code.WRONG_TYPE, value, f"{what} must be {expected}, found {found}", suggestion=suggestion
        )

    def id(self, text: Text, what: str) -> str | None:
        """A text that can be an id."""
        reason = what_is_wrong_with_id(text.text)
        if reason is None:
            return text.text
        self.report(
            Code.BAD_ID,
            text.at,
            f"{quoted(text.text)} cannot be {what}: it {reason}",
            suggestion="use a short name such as n1 or auth-tests; `label` takes any text",
        )
        return None

    def glob(self, text: Text, what: str) -> bool:
        """Whether a text is a path or glob from the repository's root; notes why not."""
        try:
            parse_glob(text.text)
        except InvalidGlob as error:
            self.report(
                Code.BAD_GLOB,
                text.at,
                f"{quoted(text.text)} is no {what}: it {error.reason}",
                suggestion="paths are relative to the repository's root, such as src/auth/** or README.md",
            )
            return False
        return True
