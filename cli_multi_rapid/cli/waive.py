"""`waive`: a person overrules what a review has found, for the record, and the run goes on."""

import re
from collections.abc import Sequence
from typing import Final

import click

from cli_multi_rapid.cli.act import NO_RESUME, give_and_go_on
from cli_multi_rapid.cli.command_given import person
from cli_multi_rapid.cli.context import Place
from cli_multi_rapid.cli.loaded_run import LoadedRun, load_run
from cli_multi_rapid.cli.options import examples, format_option, place_options
from cli_multi_rapid.cli.output import Format
from cli_multi_rapid.core.errors import UserError
from cli_multi_rapid.core.facts import FindingRef
from cli_multi_rapid.core.remedy_words import findings_of, headline
from cli_multi_rapid.core.run_events import CommandGiven
from cli_multi_rapid.core.waiver import why_not_restored, why_not_waived

_FINDING: Final = re.compile(r"(?P<node>.+)\.(?P<number>[1-9][0-9]{0,5})", re.ASCII)


@click.command(
    epilog=examples(
        "waive look.1 --reason 'the proxy checks the token'",
        "waive 20261120-094612-k3f9 look.1 look.2 --reason agreed",
        "waive look.1 --undo  # it counts again",
    )
)
@click.argument("words", nargs=-1, required=True, metavar="[RUN] FINDING...")
@click.option("--reason", default="", metavar="TEXT", help="Why the review is wrong, for the record")
@click.option("--undo", is_flag=True, help="Take it back: the finding counts again")
@click.option("--no-resume", is_flag=True, help=NO_RESUME)
@format_option
@place_options
def waive(
    *, place: Place, format_: Format, words: tuple[str, ...], reason: str, undo: bool, no_resume: bool
) -> int:
    """Overrule findings of a review: they keep nothing from passing, and nobody puts them right.

    FINDING is NODE.NUMBER, as `status` shows it: of the node's last verdict. A node that was added for it is
    excused, and so is the review when nothing is left of it; whoever reviews again is told. A failed check
    cannot be overruled: nothing lands before it passes.

    A run that no process has in hand goes on here and now, with the exit codes of `execute`.
    """
    names = words[1:] if _FINDING.fullmatch(words[0]) is None else words
    if not names or not all(map(_FINDING.fullmatch, names)):
        raise click.UsageError("name findings like look.1: type: waive [RUN] FINDING... --reason TEXT")
    if not undo and not reason.strip():
        raise click.UsageError("say why, for those who read the record: --reason TEXT")
    with place.open_records() as records:
        run = load_run(records, records.find_run(None if names is words else words[0]))
        refs = tuple(dict.fromkeys(_ref(run, name) for name in names))
        if why := (why_not_restored if undo else why_not_waived)(run.state, refs):
            raise UserError(why, hint=_hint(run))
        nodes = {ref.node_id for ref in refs}
        command = CommandGiven(
            command="restore" if undo else "waive",
            by=person(),
            node_id=refs[0].node_id if len(nodes) == 1 else None,
            text=reason.strip(),
            findings=refs,
        )
        return give_and_go_on(records, place, run, command, format_, goes_on=not no_resume)


def _ref(run: LoadedRun, name: str) -> FindingRef:
    """A finding by what people call it; whether it is there shows later. Raises `UserError`."""
    word = _FINDING.fullmatch(name)
    assert word is not None  # noqa: S101  # the caller has seen to that
    node = run.node(word["node"])
    return FindingRef(node_id=node.node.id, attempt=len(node.attempts), number=int(word["number"]))


def _hint(run: LoadedRun) -> str:
    """The findings that there are, a few of them."""
    found = [
        f"{ref.name} ({finding.severity}) {headline(finding)}"
        for node in run.state.nodes.values()
        for ref, finding in findings_of(node).items()
    ]
    return _listed(found) if found else "no review of this run has found anything"


def _listed(found: Sequence[str], most: int = 5) -> str:
    more = f", and {len(found) - most} more" if len(found) > most else ""
    return f"its findings: {'; '.join(found[:most])}{more}"
