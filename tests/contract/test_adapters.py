"""What holds for every adapter: work stays in the slot, text stays data, claims are not just believed."""

import sys
from collections.abc import Callable
from fnmatch import fnmatch
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec import Struct
from msgspec.structs import replace

from cli_multi_rapid.adapters.actions import ActionsAdapter
from cli_multi_rapid.adapters.command import CommandAdapter
from cli_multi_rapid.adapters.python import PythonAdapter
from cli_multi_rapid.adapters.registry import AGENTS, adapters
from cli_multi_rapid.adapters.scripted import ScriptedAdapter
from cli_multi_rapid.adapters.shell import ShellAdapter
from cli_multi_rapid.core.errors import UserError
from cli_multi_rapid.core.facts import FailureClass, Usage
from cli_multi_rapid.core.ids import ToolName
from cli_multi_rapid.core.plan import Actions, Argv, Prompt, PythonCall, Script, ShellLine, Work, WriteFile
from cli_multi_rapid.ports import Adapter, Brief, CostClass
from cli_multi_rapid.schema.tools import OutputFormat, ReadRules, ToolConfig
from tests.contract.adapter_world import AdapterWorld, Attempt
from tests.fakes.agent_program import agent_programs

MODULE = """\
def save(text):
    with open("got.txt", "w", newline="", encoding="utf-8") as file:
        file.write(text)
    return text

def fail():
    raise RuntimeError("it broke")
"""

AGENT = """\
import json, pathlib, sys
option, text = sys.argv[1:]
if option == "--prompt-file":
    text = pathlib.Path(text).read_bytes().decode()
if text == "fail":
    print(json.dumps({"error": "it broke"}))
    sys.exit(4)
pathlib.Path("got.txt").write_bytes(text.encode())
print(json.dumps({"result": "saved", "cost": 0.25, "tokens": 12}))
"""
"""A small coding agent: it writes its prompt to a file."""

SAVE_ARGUMENT = "import sys; open('got.txt', 'w', newline='', encoding='utf-8').write(sys.argv[1])"


class Subject(Struct, frozen=True, kw_only=True):
    """An adapter, and work for it that writes a text to `got.txt`, or fails."""

    adapter: Adapter
    save: Callable[[str], Work]
    fail: Work
    by_file: bool
    """Whether the text travels by file, so that no text is too long or too odd."""
    prompts: bool = False
    """Whether the text is the prompt, not a part of the work."""


def command_tool(argv: tuple[str, ...]) -> CommandAdapter:
    """A tool of `config/tools.yaml` whose program prints its end as JSON."""
    rules = ReadRules(
        format=OutputFormat.JSON, result="result", error="error", cost="cost", tokens="tokens", session="id"
    )
    return CommandAdapter(ToolConfig(name=ToolName("agent"), argv=argv, read=rules, cost_class="priced"))


SUBJECTS = {
    "shell argv": Subject(
        adapter=ShellAdapter(),
        save=lambda text: Argv(argv=(sys.executable, "-c", SAVE_ARGUMENT, text)),
        fail=Argv(argv=(sys.executable, "-c", "import sys; print('it broke'); sys.exit(4)")),
        by_file=False,
    ),
    "shell line": Subject(
        adapter=ShellAdapter(),
        # The one place for a shell: the text stands in a here document, which the shell does not expand.
        save=lambda text: ShellLine(
            run=f"cat > got.txt <<'END_OF_TEXT'\n{text}\nEND_OF_TEXT\ntruncate -s -1 got.txt"
        ),
        fail=ShellLine(run="echo it broke; exit 4"),
        by_file=False,
    ),
    "python": Subject(
        adapter=PythonAdapter(),
        save=lambda text: PythonCall(target="work_of_test:save", kwargs={"text": text}),
        fail=PythonCall(target="work_of_test:fail"),
        by_file=True,
    ),
    "actions": Subject(
        adapter=ActionsAdapter(),
        save=lambda text: Actions(actions=(WriteFile(path="got.txt", text=text),)),
        fail=Actions(
            actions=(ShellLine(run="echo it broke; exit 4"), WriteFile(path="got.txt", text="late"))
        ),
        by_file=True,
    ),
    "scripted": Subject(
        adapter=ScriptedAdapter(),
        save=lambda text: Script(steps=({"write": "got.txt", "text": text},)),
        fail=Script(steps=({"fail": "it broke", "exit": 4},)),
        by_file=True,
    ),
    "command with a prompt file": Subject(
        adapter=command_tool(argv=(sys.executable, "-c", AGENT, "--prompt-file", "{prompt_file}")),
        save=lambda _: Prompt(),
        fail=Prompt(),
        by_file=True,
        prompts=True,
    ),
    "command with a prompt argument": Subject(
        adapter=command_tool(argv=(sys.executable, "-c", AGENT, "--prompt", "{prompt}")),
        save=lambda _: Prompt(),
        fail=Prompt(),
        by_file=False,
        prompts=True,
    ),
}


def agent(name: str) -> Subject:
    """An agent, played by a program of its name."""
    return Subject(
        adapter=adapters()[ToolName(name)],
        save=lambda _: Prompt(),
        fail=Prompt(),
        by_file=name == "aider",
        prompts=True,
    )


SUBJECTS |= {name: agent(name) for name in AGENTS}

HOSTILE = {
    "an option": "--help",
    "options": "-rf / --force",
    "lines": "two\nlines\r\nand three\n",
    "quotes": 'it\'s "quoted" \\ and \\\\',
    "substitution": "$(touch pwned) `touch pwned` ${HOME}",
    "a second command": "; touch pwned #",
    "placeholders": "{prompt}{temp}{slot}{model} %s {0}",
    "letters": "é ☃ 𝄞 \u202e",
    "a NUL": "be\0fore",
    "nothing": "",
    "a long text": "x" * 200_000,
}
HOSTILE["all of it"] = "".join(HOSTILE.values())
WHOLE = ("an option", "nothing", "all of it")
"""Enough for a text that travels by file: nothing on its way takes it apart, and each try starts a Python."""


@pytest.fixture(params=SUBJECTS, scope="module")
def subject(request: pytest.FixtureRequest) -> Subject:
    return SUBJECTS[str(request.param)]


def make_world(folder: Path) -> AdapterWorld:
    slot, temp = folder / "a 'slot' $(x)", folder / "temp"
    slot.mkdir()
    temp.mkdir()
    (slot / "work_of_test.py").write_text(MODULE)
    return AdapterWorld(slot, temp, agent_programs(folder / "bin"))


@pytest.fixture
def world(tmp_path: Path) -> AdapterWorld:
    return make_world(tmp_path)


def brief_to_save(world: AdapterWorld, subject: Subject, text: str) -> Brief:
    return world.brief(subject.save(text), prompt=text if subject.prompts else "do it")


def brief_to_fail(world: AdapterWorld, subject: Subject) -> Brief:
    return world.brief(subject.fail, prompt="fail" if subject.prompts else "do it")


class Saved(Struct, frozen=True):
    """An attempt that saved `hello`, for tests that only look at what came of it."""

    world: AdapterWorld
    attempt: Attempt


@pytest.fixture(scope="module")
def saved(subject: Subject, tmp_path_factory: pytest.TempPathFactory) -> Saved:
    world = make_world(tmp_path_factory.mktemp("saved"))
    return Saved(world, world.attempt(subject.adapter, brief_to_save(world, subject, "hello")))


def test_good_work_is_a_success_and_lies_in_the_slot(saved: Saved) -> None:
    assert saved.attempt.reading.ok, saved.attempt.text
    assert saved.attempt.reading.failure is None
    assert saved.world.files()["got.txt"] == "hello"


def test_failed_work_has_a_class_and_a_reason(subject: Subject, world: AdapterWorld) -> None:
    attempt = world.attempt(subject.adapter, brief_to_fail(world, subject))
    assert attempt.exit_code == 4 or subject.adapter.name == "python"
    assert not attempt.reading.ok
    assert attempt.reading.failure is FailureClass.TOOL_FAILED
    assert "it broke" in attempt.reading.reason or "exit code 4" in attempt.reading.reason
    assert "got.txt" not in world.files()


def test_nothing_but_the_work_is_left_in_the_slot(saved: Saved) -> None:
    ignored = [glob.removeprefix("**/") for glob in saved.attempt.invocation.ignore]
    litter = {path for path in saved.world.files() if not any(fnmatch(path, glob) for glob in ignored)} - {
        "got.txt",
        "work_of_test.py",
    }
    assert litter == set()


def test_preparing_an_attempt_writes_nothing_into_the_slot(subject: Subject, world: AdapterWorld) -> None:
    before = world.files()
    subject.adapter.prepare(brief_to_save(world, subject, "hello"))
    assert world.files() == before


def test_the_program_runs_in_the_slot_with_the_attempts_environment(
    subject: Subject, world: AdapterWorld
) -> None:
    brief = brief_to_save(world, subject, "hello")
    brief = replace(brief, environment={**brief.environment, "NODE_SAYS": "so"})
    invocation = subject.adapter.prepare(brief)
    assert invocation.cwd == world.slot
    assert invocation.env["NODE_SAYS"] == "so"
    assert invocation.env["TMPDIR"] == str(world.temp)
    assert invocation.env["PATH"] == brief.environment["PATH"]


@pytest.mark.parametrize(
    ("subject", "kind"),
    [(name, kind) for name, subject in SUBJECTS.items() for kind in (WHOLE if subject.by_file else HOSTILE)],
    indirect=["subject"],
)
def test_hostile_text_stays_data(subject: Subject, kind: str, world: AdapterWorld) -> None:
    text = HOSTILE[kind]
    try:
        attempt = world.attempt(subject.adapter, brief_to_save(world, subject, text))
    except UserError:
        assert not subject.by_file
        assert kind in {"a NUL", "a long text", "all of it"}
        return
    assert attempt.reading.ok, attempt.text
    assert world.files().keys() - {"got.txt"} == {"work_of_test.py"}
    # A prompt in an argument: no argument holds a NUL, and a space keeps it from being an option.
    assert world.got() in ({text} if subject.by_file else {text, f" {text}", text.replace("\0", "\ufffd")})


def test_a_text_without_utf_8_form_is_refused_or_replaced(subject: Subject, world: AdapterWorld) -> None:
    try:
        attempt = world.attempt(subject.adapter, brief_to_save(world, subject, "half \ud800 letter"))
    except UserError:
        return
    assert attempt.reading.ok or attempt.reading.reason
    assert not attempt.reading.ok or world.got() == "half ? letter"


def test_no_shell_is_asked_to_run_an_argv(subject: Subject, world: AdapterWorld) -> None:
    brief = brief_to_save(world, subject, "hello")
    argv = subject.adapter.prepare(brief).argv
    asks_for_shell = isinstance(brief.node.work, ShellLine)
    assert (Path(argv[0]).name in {"sh", "bash", "dash"}) is asks_for_shell


def test_a_text_that_travels_by_file_is_not_on_the_command_line(
    subject: Subject, world: AdapterWorld
) -> None:
    argv = subject.adapter.prepare(brief_to_save(world, subject, "a secret plan")).argv
    assert any("a secret plan" in argument for argument in argv) is not subject.by_file


def test_a_program_that_was_stopped_has_not_succeeded(subject: Subject, world: AdapterWorld) -> None:
    brief = brief_to_save(world, subject, "hello")
    reading = subject.adapter.read(b"", None, brief)
    assert not reading.ok
    assert reading.failure is FailureClass.INTERRUPTED
    assert reading.reason


def test_success_is_not_claimed_against_the_exit_code(subject: Subject, saved: Saved) -> None:
    for exit_code in (1, 2, 127, 255, -9, -11, -64, None):
        reading = subject.adapter.read(saved.attempt.output, exit_code, saved.world.brief())
        assert not reading.ok
        assert reading.reason


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    output=st.one_of(
        st.binary(max_size=400),
        st.lists(
            st.sampled_from(
                [
                    b'{"type": "result"',
                    b'{"type": "result", "cost": -5}',
                    b'{"type": "result", "failure": "odd"}',
                    b'{"result": ',
                    b'{"result": "\\ud800", "cost": 1e999, "tokens": true}',
                    b'{"a":' * 3000,
                    b"[" * 3000,
                    b"\x1b]0;title\x07",
                    b"\xff\xfe\x00",
                    b'", "cost": NaN}',
                    b"}\n",
                    b"\n",
                ]
            ),
            max_size=8,
        ).map(b"".join),
    ),
    exit_code=st.one_of(st.none(), st.integers(-70, 300)),
)
def test_any_output_can_be_read(
    subject: Subject, world: AdapterWorld, output: bytes, exit_code: int | None
) -> None:
    reading = subject.adapter.read(output, exit_code, world.brief())
    assert reading.ok is (reading.failure is None)
    assert reading.ok or reading.reason
    assert exit_code == 0 or not reading.ok
    assert reading.usage.cost >= 0 <= reading.usage.tokens
    for text in (reading.summary, reading.reason, reading.session_id or ""):
        assert len(text) <= 2000
        text.encode("utf-8")  # it will be stored
        assert "\x1b" not in text


def test_what_the_tool_needs_is_said_and_nothing_else(subject: Subject, world: AdapterWorld) -> None:
    assert subject.adapter.missing(world.brief().environment) is None
    missing = subject.adapter.missing({"PATH": "/nowhere"})
    assert missing is None or "not found" in missing


def test_free_tools_report_no_cost(subject: Subject, saved: Saved) -> None:
    if subject.adapter.cost is CostClass.FREE:
        assert saved.attempt.reading.usage == Usage()


def test_work_of_another_kind_is_refused_with_the_nodes_name(subject: Subject, world: AdapterWorld) -> None:
    work = Prompt() if not subject.prompts else Argv(argv=("true",))
    with pytest.raises(UserError, match=r"n1"):
        subject.adapter.prepare(world.brief(work))
