"""How agents are started: command line, environment, session, money, and how they are stopped."""

import json
from pathlib import Path
from signal import Signals

import pytest
from msgspec.structs import replace

from cli_multi_rapid.adapters.registry import AGENTS, adapters
from cli_multi_rapid.core.claims import ClaimMode, PathClaim
from cli_multi_rapid.core.errors import UserError
from cli_multi_rapid.core.ids import ToolName
from cli_multi_rapid.core.money import parse_usd
from cli_multi_rapid.core.prices import ModelPrice
from cli_multi_rapid.ports import Brief, CostClass, Invocation
from cli_multi_rapid.schema.tools import ToolConfig
from tests.contract.adapter_world import AdapterWorld, with_model

SESSION = "55555555-2222-4333-8444-555555555555"
USER = {
    "ANTHROPIC_API_KEY": "a",
    "OPENAI_API_KEY": "o",
    "GEMINI_API_KEY": "g",
    "CURSOR_API_KEY": "c",
    "COPILOT_GITHUB_TOKEN": "t",
    "DATABASE_PASSWORD": "secret",
    "MY_GATEWAY": "url",
}


@pytest.fixture
def world(tmp_path: Path) -> AdapterWorld:
    for name in ("slot", "temp", "home"):
        (tmp_path / name).mkdir()
    return AdapterWorld(tmp_path / "slot", tmp_path / "temp")


@pytest.fixture
def brief(world: AdapterWorld, tmp_path: Path) -> Brief:
    brief = world.brief(prompt="make it so")
    return replace(brief, environment={"PATH": "/bin", "HOME": str(tmp_path / "home")})


def prepared(tool: str, brief: Brief, config: ToolConfig | None = None) -> Invocation:
    return adapters([config] if config else [], USER)[ToolName(tool)].prepare(brief)


def test_claude_gets_no_settings_of_the_repository_and_commits_nothing(brief: Brief) -> None:
    program = prepared("claude", replace(with_model(brief, "opus"), cap=parse_usd("1.5")))
    assert program.argv == (
        *("claude", "-p", "make it so", "--output-format", "stream-json", "--verbose"),
        *("--permission-mode", "acceptEdits", "--allowedTools=Bash,Write,Edit"),
        "--disallowedTools=Bash(git commit:*),Bash(git push:*)",
        *("--setting-sources", "user", "--strict-mcp-config"),
        *("--session-id", program.session_id or ""),
        *("--max-budget-usd", "1.500000", "--model", "opus"),
    )
    assert program.env["CLAUDE_CODE_MAX_RETRIES"] == "1"
    assert [step.signal for step in program.stops] == [Signals.SIGINT, Signals.SIGTERM]


def test_claude_has_another_session_for_every_attempt(brief: Brief) -> None:
    sessions = {prepared("claude", replace(brief, attempt=number)).session_id for number in (1, 2, 3)}
    assert len(sessions) == 3


def test_claude_goes_on_with_the_transcript_that_it_left_under_another_slot(brief: Brief) -> None:
    transcript = Path(brief.environment["HOME"], ".claude/projects/-another-slot", f"{SESSION}.jsonl")
    transcript.parent.mkdir(parents=True)
    transcript.write_text("{}\n")
    program = prepared("claude", replace(brief, session_id=SESSION))
    assert program.argv[program.argv.index("--resume") + 1] == str(transcript)
    assert "--session-id" not in program.argv
    assert program.session_id == SESSION


def test_claude_finds_its_transcript_where_the_person_keeps_its_files(brief: Brief, tmp_path: Path) -> None:
    elsewhere = tmp_path / "mine"
    transcript = elsewhere / "projects/-another-slot" / f"{SESSION}.jsonl"
    transcript.parent.mkdir(parents=True)
    transcript.write_text("{}\n")
    environ = {"CLAUDE_CONFIG_DIR": str(elsewhere)}
    program = adapters(environ=environ)[ToolName("claude")].prepare(replace(brief, session_id=SESSION))
    assert program.argv[program.argv.index("--resume") + 1] == str(transcript)


@pytest.mark.parametrize("name", ["*", "[a-z]ther", "../-another-slot/other"])
def test_claude_takes_no_pattern_for_a_session(brief: Brief, name: str) -> None:
    folder = Path(brief.environment["HOME"], ".claude/projects/-another-slot")
    folder.mkdir(parents=True)
    (folder / "other.jsonl").write_text("{}\n")
    assert "--resume" not in prepared("claude", replace(brief, session_id=name)).argv


@pytest.mark.parametrize("lost", [SESSION, "../../../etc/passwd", "*", ""])
def test_claude_begins_anew_when_there_is_no_such_session(brief: Brief, lost: str) -> None:
    program = prepared("claude", replace(brief, session_id=lost))
    assert "--resume" not in program.argv
    assert program.session_id not in (lost, None)


def test_codex_works_in_its_sandbox_without_hooks_and_rules(brief: Brief) -> None:
    argv = (
        *("codex", "exec", "--json", "-s", "workspace-write", "-c", "analytics.enabled=false"),
        *("-c", "check_for_update_on_startup=false", "-c", "features.hooks=false", "--ignore-rules"),
    )
    named = with_model(brief, "gpt-5-codex")
    assert prepared("codex", named).argv == (*argv, "-m", "gpt-5-codex", "make it so")
    again = prepared("codex", replace(brief, session_id="01a1f82c-de28"))
    assert again.argv == (*argv, "resume", "01a1f82c-de28", "make it so")
    assert "resume" not in prepared("codex", replace(brief, session_id="--yolo")).argv


def test_claude_that_shall_only_answer_has_a_schema_and_no_tools(brief: Brief) -> None:
    program = prepared("claude", replace(brief, answer_schema='{"type": "object"}', cap=parse_usd("0.5")))
    assert program.argv[:3] == ("claude", "-p", "make it so")
    for words in (
        ("--output-format", "json"),
        ("--tools", "", "--permission-mode", "dontAsk"),
        ("--json-schema", '{"type": "object"}'),
        ("--setting-sources", "user", "--strict-mcp-config"),
        ("--max-budget-usd", "0.500000"),
    ):
        at = program.argv.index(words[0])
        assert program.argv[at : at + len(words)] == words
    assert not any("Bash" in word for word in program.argv)


def test_claude_that_shall_answer_about_the_slot_has_the_tools_that_read(brief: Brief) -> None:
    argv = prepared("claude", replace(brief, answer_schema="{}", may_read=True)).argv
    assert argv[argv.index("--tools") + 1] == "Read,Grep,Glob"
    assert argv[argv.index("--permission-mode") + 1] == "dontAsk"
    assert "--allowedTools" not in " ".join(argv)


def test_codex_that_shall_only_answer_reads_its_schema_and_writes_its_answer_beside_the_slot(
    brief: Brief,
) -> None:
    stale = brief.temp / "answer.json"
    stale.write_text("of an earlier question")
    argv = prepared("codex", replace(brief, answer_schema='{"type": "object"}', session_id="01a1f82c")).argv
    assert argv[3:6] == ("-s", "read-only", "--skip-git-repo-check")
    assert Path(argv[argv.index("--output-schema") + 1]).read_text() == '{"type": "object"}'
    assert argv[argv.index("-o") + 1] == str(stale)
    assert not stale.exists()
    assert argv[-3:] == ("resume", "01a1f82c", "make it so")


def test_aider_is_given_the_files_to_write_and_those_to_read(brief: Brief) -> None:
    for name in ("notes.md", "src/old.py"):
        (brief.slot / name).parent.mkdir(exist_ok=True)
        (brief.slot / name).write_text("x")
    node = replace(
        brief.node,
        inputs=("notes.md", "src/old.py", "gone.md", "docs/*.md"),
        outputs=("src/new.py", "-o.py", "gen/*.py", "../out.py"),
        path_claims=(PathClaim(path="src/**"), PathClaim(path="notes.md", mode=ClaimMode.READ)),
    )
    program = prepared("aider", replace(brief, node=node))
    prompt_file = Path(program.argv[program.argv.index("--message-file") + 1])
    assert prompt_file.read_text() == "make it so"
    tail = program.argv[program.argv.index("--message-file") + 2 :]
    assert tail == ("--read", "./notes.md", "./src/new.py", "./-o.py", "./src/old.py")
    assert program.made_empty == ("src/new.py", "-o.py")
    assert {"--no-auto-lint", "--no-auto-test", "--no-auto-commits"} <= set(program.argv)
    assert [step.signal for step in program.stops] == [Signals.SIGTERM]


def test_gemini_is_let_into_the_slot_and_is_not_waited_for(brief: Brief) -> None:
    program = prepared("gemini", with_model(brief, "gemini-2.5-pro"))
    assert program.argv == (
        *("gemini", "-p", "make it so", "--output-format", "json", "--approval-mode", "yolo"),
        *("--allowed-mcp-server-names=none", "-m", "gemini-2.5-pro"),
    )
    assert program.env["GEMINI_CLI_TRUST_WORKSPACE"] == "true"
    assert sum(step.wait_s for step in program.stops) <= 2


@pytest.mark.parametrize(
    ("text", "refused"),
    [
        ('{"hooks": {"SessionStart": [{"hooks": [{"type": "command", "command": "x"}]}]}}', True),
        ('{"tools": {"discoveryCommand": "./find"}}', True),
        ('{"\\u0068ooks": {"a": 1}}', True),
        ('{/* a comment */ "hooks": {}}', True),
        ('{"context": {"fileName": "AGENTS.md"}, "hooks": {}}', False),
    ],
)
def test_gemini_is_not_run_where_the_repository_brings_commands_along(
    brief: Brief, text: str, refused: bool
) -> None:
    (brief.slot / ".gemini").mkdir()
    (brief.slot / ".gemini/settings.json").write_text(text)
    if not refused:
        prepared("gemini", brief)
        return
    with pytest.raises(UserError, match=r"n1: gemini would run the commands") as caught:
        prepared("gemini", brief)
    assert "--skip-trust" in caught.value.hint
    asked = ToolConfig(name=ToolName("gemini"), args=("--skip-trust",))
    assert "--skip-trust" in prepared("gemini", brief, asked).argv


def test_opencode_reads_no_configuration_of_the_repository(brief: Brief) -> None:
    program = prepared("opencode", with_model(brief, "openai/gpt-5"))
    assert program.argv == ("opencode", "run", "--format", "json", "-m", "openai/gpt-5", "make it so")
    assert program.env["OPENCODE_DISABLE_PROJECT_CONFIG"] == "true"


def test_copilot_writes_its_usage_into_the_private_folder_and_cannot_push(brief: Brief) -> None:
    program = prepared("copilot", brief)
    assert f"--usage-output-file={brief.temp}/copilot-usage.json" in program.argv
    assert {"--deny-tool=shell(git push)", "--no-ask-user", "--disallow-temp-dir"} <= set(program.argv)
    assert f"--session-id={program.session_id}" in program.argv
    assert f"--session-id={SESSION}" in prepared("copilot", replace(brief, session_id=SESSION)).argv


def test_cursor_is_told_its_workspace(brief: Brief) -> None:
    assert prepared("cursor", brief).argv == (
        *("cursor-agent", "-p", "--output-format", "json", "--force", "--trust"),
        *("--workspace", str(brief.slot), "make it so"),
    )


@pytest.mark.parametrize("tool", AGENTS)
def test_an_agent_gets_its_own_key_and_nobody_elses(tool: str, brief: Brief) -> None:
    own = {
        "claude": {"ANTHROPIC_API_KEY"},
        "aider": {"ANTHROPIC_API_KEY", "OPENAI_API_KEY", "GEMINI_API_KEY"},
        "codex": {"OPENAI_API_KEY"},
        "cursor": {"CURSOR_API_KEY"},
        "gemini": {"GEMINI_API_KEY"},
        "opencode": {"ANTHROPIC_API_KEY", "OPENAI_API_KEY", "GEMINI_API_KEY"},
        "copilot": {"COPILOT_GITHUB_TOKEN"},
    }
    env = prepared(tool, brief).env
    assert env.keys() & USER.keys() == own[tool]
    assert env["TMPDIR"] == str(brief.temp)


@pytest.mark.parametrize("tool", AGENTS)
def test_the_configuration_adds_a_model_arguments_and_variables(tool: str, brief: Brief) -> None:
    config = ToolConfig(name=ToolName(tool), model="house-model", args=("--extra", "1"), env=("MY_GATEWAY",))
    program = prepared(tool, brief, config)
    assert "house-model" in program.argv
    assert program.argv[program.argv.index("--extra") + 1] == "1"
    assert program.env["MY_GATEWAY"] == "url"
    assert "DATABASE_PASSWORD" not in program.env
    assert "of-the-node" in prepared(tool, with_model(brief, "of-the-node"), config).argv


@pytest.mark.parametrize("tool", AGENTS)
def test_a_model_of_an_agent_cannot_be_an_option(tool: str, brief: Brief) -> None:
    with pytest.raises(UserError, match=r"n1.*--yolo"):
        prepared(tool, with_model(brief, "--yolo"))


@pytest.mark.parametrize("tool", AGENTS)
def test_a_variable_of_the_node_wins_over_ours(tool: str, brief: Brief) -> None:
    ours = {"DISABLE_AUTOUPDATER": "0", "COLUMNS": "80", "OPENCODE_DISABLE_PROJECT_CONFIG": "false"}
    env = prepared(tool, replace(brief, environment={**brief.environment, **ours})).env
    assert ours.items() <= env.items()


def test_a_price_of_the_configuration_takes_the_place_of_the_list_price(brief: Brief) -> None:
    mine = ModelPrice(
        model="gpt-5-codex", input=parse_usd("2"), cached_input=parse_usd("1"), output=parse_usd("3")
    )
    adapter = adapters([ToolConfig(name=ToolName("codex"), prices=(mine,))])[ToolName("codex")]
    used = {"input_tokens": 1000, "cached_input_tokens": 400, "output_tokens": 100}
    output = json.dumps({"type": "turn.completed", "usage": used}).encode()
    usage = adapter.read(output, 0, with_model(brief, "gpt-5-codex")).usage
    assert (usage.cost, usage.source) == (1900, "prices")


def test_what_is_known_of_an_agents_cost_beforehand() -> None:
    costs = {name: adapter.cost for name, adapter in adapters().items() if name in AGENTS}
    priced, metered = CostClass.PRICED, CostClass.METERED
    assert costs == {
        "claude": priced,
        "aider": priced,
        "opencode": priced,
        "codex": metered,
        "gemini": metered,
        "copilot": metered,
        "cursor": CostClass.UNPRICED,
    }
