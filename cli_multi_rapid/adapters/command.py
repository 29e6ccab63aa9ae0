"""Any command-line tool that `config/tools.yaml` describes: how to call it, and how to read what it says."""

from collections.abc import Callable, Mapping
from pathlib import PurePath
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from cli_multi_rapid.adapters.ending import (
    LONGEST_REASON,
    LONGEST_SESSION,
    LONGEST_SUMMARY,
    clip,
    describe_exit,
    last_lines,
)
from cli_multi_rapid.adapters.failure_class import failure_class
from cli_multi_rapid.adapters.launch import CACHES, invocation
from cli_multi_rapid.adapters.template import fill_template
from cli_multi_rapid.adapters.tool_output import (
    Finder,
    Found,
    Output,
    PathFinder,
    RegexFinder,
    as_cost,
    as_count,
    as_text,
    read_json,
    read_jsonl,
    read_text,
)
from cli_multi_rapid.core.errors import UserError
from cli_multi_rapid.core.facts import UNKNOWN, FailureClass, Usage
from cli_multi_rapid.core.money import ZERO
from cli_multi_rapid.core.plan import Prompt
from cli_multi_rapid.ports import Brief, CostClass, Invocation, ToolReading
from cli_multi_rapid.process import which
from cli_multi_rapid.schema.tools import OutputFormat, ReadRules, ToolConfig

_READERS: Final[Mapping[OutputFormat, Callable[[str], Output]]] = {
    OutputFormat.TEXT: read_text,
    OutputFormat.JSON: read_json,
    OutputFormat.JSONL: read_jsonl,
}


class Findings(Struct, frozen=True, kw_only=True):
    """What the output says by the rules of the configuration."""

    output: Output
    result: tuple[Found, ...] = ()
    error: str = ""
    usage: Usage
    session_id: str | None = None


class CommandAdapter:
    """Drives a tool by its configuration alone."""

    def __init__(self, config: ToolConfig, environ: Mapping[str, str] | None = None) -> None:
        """`environ` is where the variables that the tool declares are taken from: the user's environment."""
        self.name = config.name
        self.cost = CostClass(config.cost_class)
        self.expects_change = config.expects_change
        self.resumes = False
        self._config = config
        self._finders = _finders(config.read)
        self._declared = {name: value for name, value in (environ or {}).items() if name in config.env}

    def missing(self, environment: Mapping[str, str]) -> str | None:
        """Its program must be on the PATH; one with a relative folder in its name lies in the slot."""
        if not self._config.argv:
            return f"config/tools.yaml does not say how to call {self.name}: add `argv:`"
        program = self._config.argv[0]
        if "/" in program and not PurePath(program).is_absolute():
            return None
        if which(program, environment) is not None:
            return None
        version_cmd = " ".join(self._config.version_cmd)
        check = f", and check it with `{version_cmd}`" if version_cmd else ""
        return f"the program {program} of the tool {self.name} was not found: install it{check}"

    def prepare(self, brief: Brief) -> Invocation:
        """The filled-in template. Raises `UserError` for what no command line can hold."""
        if not isinstance(brief.node.work, Prompt):
            raise UserError(f"node {brief.node.id}: the tool {self.name} takes a goal, no command")
        program = invocation(
            brief, fill_template(self._config.argv, brief, self._config.model), ignore=CACHES
        )
        return replace(program, env={**self._declared, **program.env})

    def read(self, output: bytes, exit_code: int | None, brief: Brief) -> ToolReading:
        """Success needs a good exit code, no error in the output, and the result that the rules name."""
        findings = self._look(output, brief)
        reason = self._why_not(findings, exit_code, output)
        if reason:
            return ToolReading(
                ok=False,
                failure=FailureClass.INTERRUPTED if exit_code is None else failure_class(reason),
                reason=clip(reason, LONGEST_REASON),
                usage=findings.usage,
                session_id=findings.session_id,
            )
        summary = as_text(findings.result) or "\n".join(last_lines(output)[-5:])
        return ToolReading(
            ok=True,
            summary=clip(summary, LONGEST_SUMMARY),
            usage=findings.usage,
            session_id=findings.session_id,
        )

    def _look(self, data: bytes, brief: Brief) -> Findings:
        output = _READERS[self._config.read.format](data.decode("utf-8", "replace"))
        found = {name: finder.find(output) for name, finder in self._finders.items()}
        cost = as_cost(found.get("cost", ()))
        usage = Usage(
            cost=ZERO if cost is None else cost,
            output_tokens=as_count(found.get("tokens", ())),
            model=brief.node.model or self._config.model,
            source="tool" if cost is not None else "none" if self.cost is CostClass.FREE else UNKNOWN,
        )
        session = clip(as_text(found.get("session", ())), LONGEST_SESSION)
        return Findings(
            output=output,
            result=found.get("result", ()),
            error=_error(found.get("error", ()), found.get("result", ())),
            usage=usage,
            session_id=session or None,
        )

    def _why_not(self, findings: Findings, exit_code: int | None, output: bytes) -> str:
        if findings.error:
            return findings.error
        if exit_code not in self._config.success_exit_codes:
            said = last_lines(output)[-1:]
            return ": ".join([describe_exit(exit_code), *said])
        if "result" in self._finders and not findings.result:
            return f"ended without a result ({describe_exit(exit_code)})"
        if self._config.read.format is not OutputFormat.TEXT and not findings.output.records:
            return f"ended without any JSON ({describe_exit(exit_code)})"
        return ""


def _finders(rules: ReadRules) -> dict[str, Finder]:
    texts = {
        "result": rules.result,
        "error": rules.error,
        "cost": rules.cost,
        "tokens": rules.tokens,
        "session": rules.session,
    }
    parse = RegexFinder.parse if rules.format is OutputFormat.TEXT else PathFinder.parse
    return {name: parse(text) for name, text in texts.items() if text is not None}


def _error(found: tuple[Found, ...], result: tuple[Found, ...]) -> str:
    """The error in words; `false`, 0 and empty values are none, and `true` leaves the words to the others."""
    values = tuple(value for value in found if value)
    if not values:
        return ""
    words = tuple(value for value in values if value is not True) or result
    return clip(as_text(words), LONGEST_REASON) or "the tool reports an error"
