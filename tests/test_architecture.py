"""The rooms of the house and the habits of its code, checked on the source itself.

Each habit is a function from a module to the places that break it. The first half of this file applies them
to the project, the second half shows that each one finds what it is there for.
"""

import ast
import gc
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import pytest
from importlinter import api as importlinter_api
from importlinter.application.use_cases import lint_imports

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "cli_multi_rapid"

Function = ast.FunctionDef | ast.AsyncFunctionDef
Places = Iterator[tuple[int, str]]
Habit = Callable[[ast.Module], Places]

LONGEST_MODULE = 400
LONGEST_FUNCTION = 60
BAGS = frozenset({"util", "utils", "helper", "helpers", "common", "manager", "managers", "base", "misc"})
PROGRAM_STARTING_MODULES = frozenset({"subprocess", "multiprocessing", "pty", "pexpect"})
PROGRAM_STARTING_CALLS = ("system", "popen", "fork", "forkpty", "exec", "spawn", "posix_spawn")
CLOCK_READS = frozenset({"now", "utcnow", "today"})
OUTSIDE_WORLD = frozenset({"open", "print", "input", "exec", "eval", "__import__"})
HEAVY_IMPORTS = ("sqlmodel", "sqlalchemy", "jsonschema", "networkx", "rich")


# --- the habits ---------------------------------------------------------------------------------------------


@cache
def nodes(tree: ast.Module) -> list[ast.AST]:
    return list(ast.walk(tree))


@cache
def calls(tree: ast.Module) -> list[ast.Call]:
    return [node for node in nodes(tree) if isinstance(node, ast.Call)]


def imports(tree: ast.Module) -> Iterator[tuple[int, str]]:
    for node in nodes(tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.lineno, node.module or ""


def is_git(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and node.value in {"git", b"git"}


def git_commands(tree: ast.Module) -> Places:
    for node in nodes(tree):
        is_argv = isinstance(node, ast.List | ast.Tuple) and node.elts and is_git(node.elts[0])
        is_call = isinstance(node, ast.Call) and len(node.args) > 1 and is_git(node.args[0])
        if isinstance(node, ast.expr) and (is_argv or is_call):
            yield node.lineno, "builds a git command: that is for git.py"


def program_starts(tree: ast.Module) -> Places:
    for line, module in imports(tree):
        if module.partition(".")[0] in PROGRAM_STARTING_MODULES:
            yield line, f"imports {module}: programs are started in process.py"
    for call in calls(tree):
        if not isinstance(call.func, ast.Attribute):
            continue
        name = call.func.attr
        if not name.startswith((*PROGRAM_STARTING_CALLS, "create_subprocess")):
            continue
        owner = ast.unparse(call.func.value)
        if (owner == "os" and name.startswith(PROGRAM_STARTING_CALLS)) or (
            owner == "asyncio" and name.startswith("create_subprocess")
        ):
            yield call.lineno, f"{owner}.{name}: programs are started in process.py"


def shells(tree: ast.Module) -> Places:
    for call in calls(tree):
        for keyword in call.keywords:
            off = isinstance(keyword.value, ast.Constant) and keyword.value.value is False
            if keyword.arg == "shell" and not off:
                yield call.lineno, "shell=…: pass an argv list"


def fork_hooks(tree: ast.Module) -> Places:
    for call in calls(tree):
        if any(keyword.arg == "preexec_fn" for keyword in call.keywords):
            yield call.lineno, "preexec_fn can deadlock in a program with threads"


def swallowed_errors(tree: ast.Module) -> Places:
    for node in nodes(tree):
        if isinstance(node, ast.ExceptHandler) and all(is_empty(statement) for statement in node.body):
            yield node.lineno, "an error is swallowed"
    for call in calls(tree):
        if last_name(call.func).endswith("suppress") and any(map(is_every_error, call.args)):
            yield call.lineno, "every error is swallowed"


def is_every_error(node: ast.expr) -> bool:
    return isinstance(node, ast.Name) and node.id in {"Exception", "BaseException"}


def last_name(node: ast.expr) -> str:
    """What stands behind the last dot."""
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else ""


def is_empty(statement: ast.stmt) -> bool:
    is_constant = isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)
    return isinstance(statement, ast.Pass) or is_constant


def long_functions(tree: ast.Module) -> Places:
    for node in nodes(tree):
        if isinstance(node, Function):
            length = (node.end_lineno or node.lineno) - node.lineno + 1
            if length > LONGEST_FUNCTION:
                yield node.lineno, f"{node.name} has {length} lines"


def dataclasses(tree: ast.Module) -> Places:
    for line, module in imports(tree):
        if module == "dataclasses":
            yield line, "a dataclass takes a millisecond of every start: use msgspec.Struct"


def late_decoders(tree: ast.Module) -> Places:
    for call in calls(tree):
        if last_name(call.func) in {"decode", "convert"} and any(
            word.arg == "type" for word in call.keywords
        ):
            yield call.lineno, "two threads that decode a type first crash msgspec: make a Decoder on import"


def changed_fields(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """What `msgspec.structs.replace` is told to change; unlike dataclasses', mypy does not know its names."""
    for call in calls(tree):
        if isinstance(call.func, ast.Name) and call.func.id == "replace":
            yield from ((call.lineno, keyword.arg) for keyword in call.keywords if keyword.arg)


def fields(tree: ast.Module) -> Iterator[str]:
    for node in nodes(tree):
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            yield node.target.id


def impurities(tree: ast.Module) -> Places:
    for call in calls(tree):
        if isinstance(call.func, ast.Attribute) and call.func.attr in CLOCK_READS:
            yield call.lineno, f"{ast.unparse(call.func)} reads the clock"
        elif isinstance(call.func, ast.Name) and call.func.id in OUTSIDE_WORLD:
            yield call.lineno, f"{call.func.id}() reaches outside the core"


# --- applied to the project ---------------------------------------------------------------------------------


@cache
def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), str(path))


@pytest.fixture(scope="module", autouse=True)
def _trees_are_forgotten() -> Iterator[None]:
    """Half a million nodes without a cycle: the garbage collector would cost more than the parser."""
    gc.disable()
    yield
    for kept in (parsed, nodes, calls):
        kept.cache_clear()
    gc.enable()


def package_modules() -> list[Path]:
    return sorted(PACKAGE.rglob("*.py"))


def modules_of_tests() -> list[Path]:
    tests = ROOT / "tests"
    return sorted(path for path in tests.rglob("*.py") if tests / "data" not in path.parents)


def broken(habit: Habit, modules: list[Path]) -> list[str]:
    return [
        f"{path.relative_to(ROOT)}:{line}: {what}" for path in modules for line, what in habit(parsed(path))
    ]


def none_of(places: list[str]) -> None:
    assert not places, "\n" + "\n".join(places)


def may_start_programs(path: Path) -> bool:
    return path.parent == PACKAGE and path.stem in {
        "process",
        "process_start",
        "process_steward",
        "process_warden",
    }


def may_build_git_commands(path: Path) -> bool:
    return path.parent == PACKAGE and (path.stem == "git" or path.stem.startswith("git_"))


def test_imports_run_one_way_through_the_rooms() -> None:
    kept = lint_imports(
        config_filename=str(ROOT / "pyproject.toml"), cache_dir=None, is_debug_mode=True, no_logo=True
    )
    assert kept, "see the broken contracts above"


def test_a_new_module_must_be_given_a_room() -> None:
    contracts = importlinter_api.read_configuration(str(ROOT / "pyproject.toml"))["contracts_options"]
    exhaustive = {contract["id"] for contract in contracts if str(contract.get("exhaustive")) == "True"}
    assert exhaustive >= {"rooms", "core"}


def test_git_commands_are_built_in_the_git_room_only() -> None:
    modules = [path for path in package_modules() if not may_build_git_commands(path)]
    none_of(broken(git_commands, modules))


def test_programs_are_started_in_process_only() -> None:
    modules = [path for path in package_modules() if not may_start_programs(path)]
    none_of(broken(program_starts, modules))


def test_no_program_is_started_through_a_shell_or_with_a_fork_hook() -> None:
    modules = package_modules() + modules_of_tests()
    none_of(broken(shells, modules) + broken(fork_hooks, modules))


def test_no_error_is_swallowed() -> None:
    none_of(broken(swallowed_errors, package_modules() + modules_of_tests()))


def test_records_are_structs() -> None:
    none_of(broken(dataclasses, package_modules()))


def test_types_are_decoded_by_decoders_that_are_made_on_import() -> None:
    none_of(broken(late_decoders, package_modules()))


def test_only_fields_that_some_record_has_are_replaced() -> None:
    known = {name for path in package_modules() for name in fields(parsed(path))}
    none_of(
        [
            f"{path.relative_to(ROOT)}:{line}: no record has a field {name}"
            for path in package_modules()
            for line, name in changed_fields(parsed(path))
            if name not in known
        ]
    )


def test_functions_stay_readable() -> None:
    none_of(broken(long_functions, package_modules() + modules_of_tests()))


def test_modules_stay_readable() -> None:
    lengths = {
        path.relative_to(ROOT): len(path.read_text(encoding="utf-8").splitlines())
        for path in package_modules() + modules_of_tests()
    }
    none_of([f"{path}: {length} lines" for path, length in lengths.items() if length > LONGEST_MODULE])


def test_modules_are_named_after_a_thing() -> None:
    names = [path for path in package_modules() if BAGS & set(path.stem.split("_"))]
    folders = [path for path in package_modules() if BAGS & set(path.parent.name.split("_"))]
    none_of([str(path.relative_to(ROOT)) for path in names + folders])


def test_the_core_reads_no_clock_and_reaches_for_nothing() -> None:
    none_of(broken(impurities, sorted((PACKAGE / "core").rglob("*.py"))))


def test_a_command_does_not_pay_for_what_it_does_not_need() -> None:
    # Until the command line is built, what it stands on must be light.
    is_built = (PACKAGE / "cli" / "main.py").exists()
    entry = "cli_multi_rapid.cli.main" if is_built else "cli_multi_rapid.core.events"
    program = f"import sys, {entry}; print(*sorted(set({HEAVY_IMPORTS!r}) & set(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout.split(), done.stderr) == (0, [], "")


# --- each habit finds what it is there for ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("habit", "source"),
    [
        (git_commands, 'run(["git", "status"])'),
        (git_commands, 'run(("git",))'),
        (git_commands, 'run("git", "status")'),
        (program_starts, "import subprocess"),
        (program_starts, "from subprocess import run"),
        (program_starts, "from multiprocessing.pool import Pool"),
        (program_starts, 'os.system("ls")'),
        (program_starts, 'os.execvp("ls", [])'),
        (program_starts, 'asyncio.create_subprocess_exec("ls")'),
        (shells, 'run("ls", shell=True)'),
        (shells, 'run("ls", shell=anything)'),
        (fork_hooks, "run(argv, preexec_fn=setsid)"),
        (swallowed_errors, "try:\n    f()\nexcept OSError:\n    pass"),
        (swallowed_errors, "try:\n    f()\nexcept OSError:\n    ..."),
        (swallowed_errors, "with contextlib.suppress(Exception):\n    f()"),
        (long_functions, "def f():\n" + "    g()\n" * 60),
        (dataclasses, "from dataclasses import dataclass"),
        (late_decoders, "decode(text, type=Plan)"),
        (late_decoders, "msgspec.convert(data, type=Plan)"),
        (changed_fields, "replace(plan, nodes=())"),
        (impurities, "datetime.now(UTC)"),
        (impurities, 'open("x")'),
    ],
)
def test_a_broken_habit_is_found(habit: Habit, source: str) -> None:
    assert list(habit(ast.parse(source)))


@pytest.mark.parametrize(
    ("habit", "source"),
    [
        (git_commands, 'find_program("git")'),
        (git_commands, 'argv = ["ruff", "check", "git"]'),
        (program_starts, 'from cli_multi_rapid.process import run\nos.path.join("a", "b")'),
        (shells, 'run(["ls"], shell=False)'),
        (swallowed_errors, "try:\n    f()\nexcept OSError:\n    log()"),
        (swallowed_errors, "with contextlib.suppress(FileNotFoundError):\n    f()"),
        (long_functions, "def f():\n" + "    g()\n" * 59),
        (dataclasses, "from msgspec import Struct"),
        (late_decoders, 'text.decode("utf-8")\nDecoder(Plan).decode(text)'),
        (changed_fields, 'text.replace("a", "b")\nreplace(plan)'),
        (impurities, "plan.opened(now)"),
    ],
)
def test_good_code_is_left_alone(habit: Habit, source: str) -> None:
    assert list(habit(ast.parse(source))) == []
