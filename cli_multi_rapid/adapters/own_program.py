"""Our own programs (`run_*.py`): how they are started from any folder, and how they get their job."""

import json
import sys
from pathlib import Path
from typing import Final

from cli_multi_rapid.core.codec import to_data

_PACKAGE_PARENT: Final = Path(__file__).resolve().parents[2]

# `-P` keeps the slot off the module path, so that a repository with a `json.py` or a `cli_multi_rapid` of its
# own cannot take our place. The package that started us is imported from its own folder and nowhere else.
# msgspec takes what it needs from `typing` where there is no `typing_extensions`, and nothing is lost by that
# on the Pythons that we support; the import would be a fifth of what a short action costs. It is hidden from
# msgspec alone: a person's function finds it, and the same one that a start-up hook has loaded.
_BOOT: Final = (
    "import sys; "
    "name = 'typing_extensions'; before = sys.modules.get(name); "
    "sys.modules[name] = None; import msgspec; del sys.modules[name]; "
    "before and sys.modules.update({name: before}); "
    "root, module = sys.argv[1:3]; del sys.argv[1:3]; "
    "sys.path.insert(0, root); import cli_multi_rapid; sys.path.remove(root); "
    "from runpy import run_module; run_module(module, run_name='__main__', alter_sys=True)"
)


def own_program(module: str, job: Path) -> tuple[str, ...]:
    """The command line of one of our own programs, run by the orchestrator's interpreter from any folder."""
    boot = (sys.executable, "-P", "-X", "utf8", "-c", _BOOT)
    return (*boot, str(_PACKAGE_PARENT), f"{__package__}.{module}", str(job))


def write_job(folder: Path, name: str, job: object) -> Path:
    """Hand a job to one of our own programs by file: command lines are short and seen by everybody."""
    path = folder / f"{name}.json"
    path.write_text(json.dumps(to_data(job)), encoding="utf-8")
    path.chmod(0o600)
    return path
