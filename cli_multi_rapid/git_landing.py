"""Landing: the target moves to a verified commit, and marker refs say for ever which entries came with it.

Target not checked out: one ref transaction creates the markers and swaps the target. Git renames the lock
files in the order given (seen with strace on 2.39), so a kill in the very middle leaves markers without the
target, never the other way round.

Target checked out: `merge --ff-only` is the only safe step in a person's checkout, and it cannot be part of
our transaction. So the markers are created first, in a transaction that also verifies the target; then git
steps forward; when it refuses, the markers are withdrawn. Whoever else holds the same entries is stopped by
the markers from the first instant on.

A marker holds the commit that it speaks for, so every state that a kill can leave is told apart by two
questions: is the marker there, and does the target contain its commit? Calling `land` again with the same
request finishes a half landing, or withdraws it when the target has gone elsewhere.
"""

import shlex
import time
from collections.abc import Mapping, Sequence
from enum import StrEnum
from pathlib import Path

from msgspec import Struct

from cli_multi_rapid.core.errors import InternalError
from cli_multi_rapid.core.ids import Branch, Commit
from cli_multi_rapid.git_checkout import (
    Busy,
    CheckedOut,
    Checkout,
    FastForwarded,
    FastForwardRefused,
    NotCheckedOut,
    adopt_written_files,
    checkout_of,
    fast_forward,
    files_in_the_way,
)
from cli_multi_rapid.git_command import Git
from cli_multi_rapid.git_history import is_ancestor
from cli_multi_rapid.git_names import branch_ref
from cli_multi_rapid.git_refs import (
    RefChange,
    RefsRefused,
    RefsUpdated,
    RefUnchanged,
    Refusal,
    read_refs,
    update_refs,
)

_LOOKS = 5
_LOOK_S = 0.05
"""How often, and how many seconds apart, we look before a marker without its landing is believed."""


class LandingRequest(Struct, frozen=True, kw_only=True):
    """What is to land: the target's step and the full names of the marker refs, one per entry."""

    target: Branch
    expected: Commit
    new: Commit
    markers: Sequence[str]
    update_checkout: bool


class Landed(Struct, frozen=True, kw_only=True):
    """Target and markers are at the new commit."""

    commit: Commit
    checkout: Path | None = None
    """The person's checkout that stepped forward, if there is one."""


class TargetMoved(Struct, frozen=True, kw_only=True):
    """The target is elsewhere (None: gone); nothing of ours is left behind. Plan again."""

    actual: Commit | None


class LandingRefused(Struct, frozen=True, kw_only=True):
    """Nothing moved; the work stays ready to land."""

    reason: str
    command: str
    """What a person types to finish it by hand."""
    files: tuple[str, ...] = ()
    """The person's files that are in the way."""


class AlreadyLanded(Struct, frozen=True, kw_only=True):
    """These markers are on the target already, by another landing; nothing moved."""

    markers: tuple[str, ...]


LandingOutcome = Landed | TargetMoved | LandingRefused | AlreadyLanded


class LandingEvidence(StrEnum):
    """What the refs say about a landing whose end is not recorded."""

    LANDED = "landed"
    NOT_LANDED = "not_landed"
    HALF = "half"
    """Only some of it happened, or a person finished it by hand: call `land` again."""


class LandingSite(Struct, frozen=True, kw_only=True):
    """The repository as a landing sees it."""

    git: Git
    common_dir: Path
    root: Path
    main_work_tree: Path | None


class _Refs(Struct, frozen=True, kw_only=True):
    """The refs of a landing, read at one moment."""

    tip: Commit | None
    markers: Mapping[str, Commit]


def land(site: LandingSite, request: LandingRequest, *, known_child: bool = False) -> LandingOutcome:
    """Land, or say why not. Idempotent: the same request again finishes what a kill interrupted.

    `known_child` spares the question whether `new` contains `expected`: the caller made it so.
    """
    if not known_child and not is_ancestor(site.git, request.expected, request.new):
        raise InternalError(f"{request.new} does not contain the target's tip {request.expected}")
    checkout = checkout_of(site.common_dir, site.main_work_tree, request.target)
    if isinstance(checkout, NotCheckedOut) and (outcome := _swap_at_once(site, request)):
        return outcome
    refs = _read(site.git, request)
    if elsewhere := _landed_elsewhere(site.git, refs, request):
        return elsewhere
    if refs.tip == request.expected:
        return _move(site, request, refs, checkout)
    if refs.tip is not None and is_ancestor(site.git, request.new, refs.tip):
        return _complete_markers(site, request, refs)
    return _withdraw(site.git, request) or TargetMoved(actual=refs.tip)


def foresee(site: LandingSite, request: LandingRequest) -> LandingOutcome | None:
    """What `land` would run into, as far as that can be known without moving anything; None: nothing."""
    refs = _read(site.git, request)
    if elsewhere := _landed_elsewhere(site.git, refs, request):
        return elsewhere
    if refs.tip is not None and is_ancestor(site.git, request.new, refs.tip):
        return None
    if refs.tip != request.expected:
        return TargetMoved(actual=refs.tip)
    match checkout_of(site.common_dir, site.main_work_tree, request.target):
        case NotCheckedOut():
            return _symbolic(site, request)
        case Busy(path=path, operation=operation):
            return _refused(f"{path}: {operation} in progress", _by_hand(request, path))
        case CheckedOut(path=path) if not request.update_checkout:
            return _refused(f"{request.target} is checked out in {path}", _by_hand(request, path))
        case CheckedOut() as checkout:
            files = files_in_the_way(site.git, checkout, request.expected, request.new)
            reason = f"your own version of {', '.join(files[:5])} is in the way"
            command = _by_hand(request, checkout.path)
            return LandingRefused(reason=reason, command=command, files=files) if files else None


def landing_evidence(git: Git, request: LandingRequest) -> LandingEvidence:
    """What happened of a landing, from the refs alone."""
    refs = _read(git, request)
    contained = refs.tip is not None and is_ancestor(git, request.new, refs.tip)
    marked = [_is_on(git, refs, marker) for marker in refs.markers]
    if all(marked) and len(marked) == len(request.markers) and (marked or contained):
        return LandingEvidence.LANDED
    return LandingEvidence.HALF if refs.markers or contained else LandingEvidence.NOT_LANDED


def _read(git: Git, request: LandingRequest) -> _Refs:
    target = branch_ref(request.target)
    found = read_refs(git, target, *request.markers)
    return _Refs(
        tip=found.get(target), markers={name: found[name] for name in request.markers if name in found}
    )


def _is_on(git: Git, refs: _Refs, marker: str) -> bool:
    return refs.tip is not None and is_ancestor(git, refs.markers[marker], refs.tip)


def _landed_elsewhere(
    git: Git, refs: _Refs, request: LandingRequest
) -> AlreadyLanded | LandingRefused | None:
    """Markers of another landing: these entries must not land again."""
    foreign = _foreign(refs, request)
    for look in range(_LOOKS):
        landed = tuple(marker for marker in foreign if _is_on(git, refs, marker))
        if landed:
            return AlreadyLanded(markers=landed)
        if not foreign:
            return None
        if look < _LOOKS - 1:  # the other landing may be between its markers and the target at this moment
            time.sleep(_LOOK_S)
            refs = _read(git, request)
            foreign = _foreign(refs, request)
    marker = foreign[0]
    return LandingRefused(
        reason=f"{marker} says that this work landed as {refs.markers[marker]}, which {request.target} lacks",
        command=f"git update-ref -d {shlex.quote(marker)} {refs.markers[marker]}",
    )


def _foreign(refs: _Refs, request: LandingRequest) -> list[str]:
    return [marker for marker, at in refs.markers.items() if at != request.new]


def _move(site: LandingSite, request: LandingRequest, refs: _Refs, checkout: Checkout) -> LandingOutcome:
    match checkout:
        case NotCheckedOut():
            outcome = _swap(site, request, refs)
            if isinstance(outcome, RefsRefused):
                return _lost(site.git, request, outcome, "git for-each-ref refs/cli-orchestrator")
            return outcome
        case Busy(path=path, operation=operation):
            return _refused(f"{path}: {operation} in progress", _by_hand(request, path))
        case CheckedOut(path=path) if not request.update_checkout:
            return _refused(f"{request.target} is checked out in {path}", _by_hand(request, path))
        case CheckedOut():
            return _step_forward(site, request, refs, checkout)


def _swap_at_once(site: LandingSite, request: LandingRequest) -> LandingOutcome | None:
    """The usual case, in one call of git: nothing happened yet and nobody else is here. None: look closer."""
    outcome = _swap(site, request, _Refs(tip=request.expected, markers={}))
    return None if isinstance(outcome, RefsRefused) else outcome


def _swap(site: LandingSite, request: LandingRequest, refs: _Refs) -> LandingOutcome | RefsRefused:
    """Swap the target and set the markers; `RefsRefused` when the refs are no longer as they were seen."""
    if symbolic := _symbolic(site, request):
        return symbolic
    target = branch_ref(request.target)
    step = RefChange(ref=target, old=request.expected, new=request.new)
    done = update_refs(site.git, [*_marking(request, refs), step], reason="cli-orchestrator: land")
    if isinstance(done, RefsUpdated):
        return Landed(commit=request.new)
    if done.kind is Refusal.MOVED:
        return done
    by_hand = f"git -C {shlex.quote(str(site.root))} update-ref {shlex.quote(target)}"
    return _refused(done.reason, f"{by_hand} {request.new} {request.expected}")


def _symbolic(site: LandingSite, request: LandingRequest) -> LandingRefused | None:
    target = branch_ref(request.target)
    if not _is_symbolic(site.common_dir / target):
        return None
    return _refused(f"{request.target} is a symbolic ref", f"git symbolic-ref {shlex.quote(target)}")


def _is_symbolic(path: Path) -> bool:
    if path.is_symlink():
        return True
    try:
        return path.read_bytes().startswith(b"ref:")
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
        return False


def _step_forward(
    site: LandingSite, request: LandingRequest, refs: _Refs, checkout: CheckedOut
) -> LandingOutcome:
    by_hand = _by_hand(request, checkout.path)
    unmoved = RefUnchanged(ref=branch_ref(request.target), at=request.expected)
    marked = update_refs(site.git, [*_marking(request, refs), unmoved])
    if isinstance(marked, RefsRefused):
        return _lost(site.git, request, marked, by_hand)
    stepped = fast_forward(site.git, checkout, request.target, request.expected, request.new)
    # With markers from before, a killed landing may have come as far as the files.
    if refs.markers and isinstance(stepped, FastForwardRefused) and _adopt(site, request, checkout, stepped):
        stepped = fast_forward(site.git, checkout, request.target, request.expected, request.new)
    if isinstance(stepped, FastForwarded):
        return Landed(commit=request.new, checkout=checkout.path)
    tip = _read(site.git, request).tip
    if tip is not None and is_ancestor(site.git, request.new, tip):
        return Landed(commit=request.new, checkout=checkout.path)
    if left := _withdraw(site.git, request):
        return left
    if tip != request.expected:
        return TargetMoved(actual=tip)
    return LandingRefused(reason=stepped.reason, command=by_hand, files=stepped.files)


def _adopt(
    site: LandingSite, request: LandingRequest, checkout: CheckedOut, refused: FastForwardRefused
) -> bool:
    return adopt_written_files(site.git, checkout, request.expected, request.new, refused.files)


def _marking(request: LandingRequest, refs: _Refs) -> list[RefChange | RefUnchanged]:
    """Create the missing markers; those that a killed landing made have to be there still."""
    return [
        RefUnchanged(ref=marker, at=request.new)
        if marker in refs.markers
        else RefChange(ref=marker, old=None, new=request.new)
        for marker in request.markers
    ]


def _complete_markers(site: LandingSite, request: LandingRequest, refs: _Refs) -> LandingOutcome:
    """The target has the commit already: by a killed landing, or by a person who typed the command."""
    done = update_refs(site.git, _marking(request, refs))
    if isinstance(done, RefsRefused):
        return _lost(site.git, request, done, "git for-each-ref refs/cli-orchestrator")
    return Landed(commit=request.new)


def _withdraw(git: Git, request: LandingRequest) -> LandingRefused | None:
    """Take back our own markers of a landing that does not happen."""
    mine = [marker for marker, at in _read(git, request).markers.items() if at == request.new]
    done = update_refs(git, [RefChange(ref=marker, old=request.new, new=None) for marker in mine])
    if isinstance(done, RefsRefused):
        return _refused(f"markers could not be withdrawn: {done.reason}", f"git update-ref -d {mine[0]}")
    return None


def _lost(git: Git, request: LandingRequest, refusal: RefsRefused, command: str) -> LandingOutcome:
    """Tell apart who was faster: a landing of the same entries, or somebody who moved the target."""
    refs = _read(git, request)
    if elsewhere := _landed_elsewhere(git, refs, request):
        return elsewhere
    if refusal.kind is Refusal.MOVED and refs.tip != request.expected:
        return _withdraw(git, request) or TargetMoved(actual=refs.tip)
    return _refused(refusal.reason, command)


def _refused(reason: str, command: str) -> LandingRefused:
    return LandingRefused(reason=reason, command=command)


def _by_hand(request: LandingRequest, path: Path) -> str:
    return f"git -C {shlex.quote(str(path))} merge --ff-only {request.new}"
