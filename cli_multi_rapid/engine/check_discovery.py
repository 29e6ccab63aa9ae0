"""Which checks a repository has: configured, or found from what it contains."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import PurePosixPath

from cli_multi_rapid.core.errors import UserError
from cli_multi_rapid.core.ids import CheckId
from cli_multi_rapid.core.plan import CheckSpec, Plan

LINT, TESTS, SECURITY = CheckId("lint"), CheckId("tests"), CheckId("security")
TYPECHECK, COVERAGE = CheckId("typecheck"), CheckId("coverage")

_TEST_FOLDERS = frozenset({"tests", "test", "testing"})


def found_checks(files: Iterable[str]) -> dict[CheckId, CheckSpec]:
    """The checks that apply to a tree of these paths: ruff and bandit for Python, pytest where tests are."""
    python = [PurePosixPath(name) for name in files if name.endswith(".py")]
    found: dict[CheckId, CheckSpec] = {}
    if python:
        found[LINT] = CheckSpec(id=LINT, argv=("ruff", "check", "."))
    if any(_is_test(path) for path in python):
        found[TESTS] = CheckSpec(id=TESTS, argv=("pytest", "-q"))
    code = sorted({path.parts[0] for path in python if not _is_test(path) and not _in_tests(path)})
    if code:
        found[SECURITY] = CheckSpec(id=SECURITY, argv=("bandit", "-q", "-r", *(f"./{name}" for name in code)))
    return found


def standard_check(name: CheckId, found: Mapping[CheckId, CheckSpec]) -> CheckSpec | None:
    """The usual command of a well-known check that was asked for by name; None for other names."""
    usual = {
        LINT: ("ruff", "check", "."),
        TESTS: ("pytest", "-q"),
        SECURITY: ("bandit", "-q", "-r", "."),
        TYPECHECK: ("mypy", "."),
        COVERAGE: ("pytest", "-q", "--cov"),
    }
    if name in found:
        return found[name]
    return CheckSpec(id=name, argv=usual[name]) if name in usual else None


def required_checks(
    checklist: Sequence[CheckId] | None,
    definitions: Mapping[CheckId, CheckSpec],
    list_files: Callable[[], Iterable[str]],
) -> tuple[CheckSpec, ...]:
    """The checks that must pass before anything lands.

    `checklist` None means every check that is defined, or else found. The files are listed only where that
    decides. Raises `UserError` for a name without a command.
    """
    if checklist is None:
        return tuple((definitions or found_checks(list_files())).values())
    specs: list[CheckSpec] = []
    found = {} if definitions.keys() >= set(checklist) else found_checks(list_files())
    for name in checklist:
        spec = definitions.get(name) or standard_check(name, found)
        if spec is None:
            raise UserError(
                f"the checklist names {name}, which has no command",
                hint=f"define it in the plan or the configuration: checks: {{{name}: {{argv: [program]}}}}",
            )
        specs.append(spec)
    return tuple(specs)


def checks_of_plan(
    plan: Plan,
    configured: Mapping[CheckId, CheckSpec],
    checklist: Sequence[CheckId] | None,
    list_files: Callable[[], Iterable[str]],
) -> tuple[CheckSpec, ...]:
    """The checks of a plan: what it says itself counts more than what is configured."""
    definitions = {**configured, **{check.id: check for check in plan.checks}}
    chosen = plan.merge_policy.checklist
    return required_checks(checklist if chosen is None else chosen, definitions, list_files)


def _is_test(path: PurePosixPath) -> bool:
    return path.name.startswith("test_") or path.name.endswith("_test.py")


def _in_tests(path: PurePosixPath) -> bool:
    return path.name == "conftest.py" or not _TEST_FOLDERS.isdisjoint(path.parts[:-1])
