"""The program that calls one function: `run_python JOB.json`. Started by `python.py`."""

import importlib
import json
import sys
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from msgspec import Struct, field

from cli_multi_rapid.adapters.final_record import FinalRecord, print_record, result_text
from cli_multi_rapid.core.codec import from_data
from cli_multi_rapid.core.plan import Json, JsonObject

__all__ = ["Json", "PythonJob", "main"]  # Json: the codec resolves the field's type hint here


class PythonJob(Struct, frozen=True, kw_only=True):
    """What to call, and the folder whose modules come first."""

    slot: str
    target: str
    kwargs: JsonObject = field(default_factory=dict)


class WrongTarget(Exception):
    """The target does not name a function, or the function gave back what is no summary."""


def main(job_file: str) -> int:
    """Call the function and print the final record; 0 when it returned."""
    job = from_data(PythonJob, json.loads(Path(job_file).read_text(encoding="utf-8")))
    _make_importable(job.slot)
    try:
        summary = _summary(_function(job.target)(**job.kwargs))
    except WrongTarget as error:
        return _fail(str(error))
    except SystemExit as leaving:
        return _left(leaving, job.target)
    except Exception as error:  # noqa: BLE001  # whatever the function raises is its failure, not ours
        return _fail(_explain(error))
    print_record(FinalRecord(result=summary))
    return 0


def _make_importable(slot: str) -> None:
    """Put the slot's modules first, and forget ours: the slot may hold another version of this package."""
    sys.path.insert(0, slot)
    sys.dont_write_bytecode = True
    for name in [name for name in sys.modules if name.partition(".")[0] == "cli_multi_rapid"]:
        del sys.modules[name]


def _function(target: str) -> Callable[..., object]:
    module_name, _, path = target.partition(":")
    if not module_name or not path:
        raise WrongTarget(f"{target!r} is no `module:function`")
    try:
        found: Any = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        raise WrongTarget(f"{target}: {error}") from error
    for name in path.split("."):
        if not hasattr(found, name):
            raise WrongTarget(f"{target}: {module_name} has no {path}")
        found = getattr(found, name)
    if not callable(found):
        raise WrongTarget(f"{target} is a {type(found).__name__}, not a function")
    function: Callable[..., object] = found
    return function


def _summary(returned: object) -> str:
    if returned is None:
        return ""
    if isinstance(returned, str):
        return result_text(returned)
    if isinstance(returned, Mapping):
        returned = dict(returned)
    try:
        return result_text(json.dumps(returned, ensure_ascii=False))
    except (TypeError, ValueError) as error:
        raise WrongTarget(f"the function returned what has no JSON form: {error}") from error


def _explain(error: Exception) -> str:
    """Print the traceback from the called code on; the record gets its end."""
    frames = error.__traceback__.tb_next if error.__traceback__ else None
    traceback.print_exception(type(error), error, frames, limit=-8, file=sys.stdout)
    return " ".join("".join(traceback.format_exception_only(error)).split())


def _left(leaving: SystemExit, target: str) -> int:
    """The function called `sys.exit`: 0 and nothing mean success, a text is a reason."""
    if leaving.code in (None, 0):
        print_record(FinalRecord())
        return 0
    if isinstance(leaving.code, int):
        return _fail(f"{target} left with exit code {leaving.code}", leaving.code & 0xFF or 1)
    return _fail(str(leaving.code))


def _fail(reason: str, exit_code: int = 1) -> int:
    print_record(FinalRecord(error=result_text(reason) or "failed without a reason"))
    return exit_code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
