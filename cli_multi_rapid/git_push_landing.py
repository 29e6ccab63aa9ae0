"""A landing that a remote has too: the remote first, in one atomic push, then the refs here.

The remote is the authority. Its markers and its target move together or not at all, under leases, so every
state that a kill can leave is told apart by reading its refs: without our markers there, nothing has landed
anywhere; with them, what is missing here is made up for. The target here only ever follows: it steps forward
to what the remote has, by the rules of `git_landing`, and is never put back or forced.
"""

import shlex
import time
from collections.abc import Callable, Mapping, Sequence

from msgspec import Struct

from cli_multi_rapid.core.ids import Branch, Commit
from cli_multi_rapid.git_command import Git
from cli_multi_rapid.git_history import is_ancestor
from cli_multi_rapid.git_landing import (
    AlreadyLanded,
    Landed,
    LandingOutcome,
    LandingRefused,
    LandingRequest,
    LandingSite,
    TargetMoved,
    foresee,
)
from cli_multi_rapid.git_names import branch_ref
from cli_multi_rapid.git_push import Pushed, PushRefused, push
from cli_multi_rapid.git_refs import RefChange, RefsUpdated, read_refs, tip_of, update_refs
from cli_multi_rapid.git_remote import NoAnswer, RemoteRefs, marked_on, read_remote

_PAUSES_S = (0.0, 0.25, 0.5, 1.0)
"""How long we wait before each further look: another push may hold the remote's refs at this moment."""


class RemoteSite(Struct, frozen=True, kw_only=True):
    """The repository and the remote that its landings go to."""

    here: LandingSite
    remote: str
    git: Git
    """Git that may talk to the remote."""
    land: Callable[[LandingRequest], LandingOutcome]
    """Moves the refs here, one landing at a time."""


class RemoteRefused(Struct, frozen=True, kw_only=True):
    """Nothing moved, as far as we know; the work stays ready to land. `unreachable`: nobody answered."""

    reason: str
    unreachable: bool = False
    command: str = ""
    """What a person types first; empty: nothing but the same once more."""


class LandedThereOnly(Struct, frozen=True, kw_only=True):
    """The remote has it; the target here could not follow."""

    reason: str
    command: str


class OutOfStep(Struct, frozen=True, kw_only=True):
    """The target here and there differ, and no plain step forward of the one here makes them equal."""

    reason: str
    command: str


class InStep(Struct, frozen=True, kw_only=True):
    """The target here is where the remote has it, or somebody moves it at this very moment."""

    landed: Mapping[str, Commit]
    """Which of the markers that were asked for are on the target, with the commits they speak for."""


PushedLandingOutcome = LandingOutcome | RemoteRefused | LandedThereOnly | OutOfStep


def land_and_push(site: RemoteSite, request: LandingRequest, *, look_first: bool) -> PushedLandingOutcome:
    """Land on the remote, then here, or say why not. Idempotent, like `land`.

    `look_first`: this landing may have been begun before; what the remote has is not pushed again.
    """
    outcome = _attempt(site, request, look=look_first)
    for pause in _PAUSES_S:
        if not isinstance(outcome, _Contended):
            return outcome
        time.sleep(pause)
        outcome = _attempt(site, request, look=True)
    return outcome.refusal if isinstance(outcome, _Contended) else outcome


def follow(
    site: RemoteSite, target: Branch, markers: Sequence[str], *, update_checkout: bool
) -> InStep | OutOfStep | RemoteRefused:
    """Bring the target here to where the remote has it, if that is a plain and safe step forward.

    Of these markers, those that are on the remote's target are set here as well.
    """
    seen = read_remote(site.git, site.remote, target, markers)
    if isinstance(seen, NoAnswer):
        return _refusal(site, seen)
    return _catch_up(site, target, seen, update_checkout=update_checkout)


def landed_there(
    site: RemoteSite, target: Branch, markers: Sequence[str]
) -> Mapping[str, Commit] | RemoteRefused:
    """Which of these markers are on the remote's target. Nothing moves."""
    seen = read_remote(site.git, site.remote, target, markers)
    return _refusal(site, seen) if isinstance(seen, NoAnswer) else marked_on(site.git, seen)


class _Contended(Struct, frozen=True, kw_only=True):
    """Another push may be between its refs. `refusal`: what it is called when that goes on."""

    refusal: RemoteRefused


def _attempt(site: RemoteSite, request: LandingRequest, *, look: bool) -> PushedLandingOutcome | _Contended:
    if look:
        seen = read_remote(site.git, site.remote, request.target, request.markers)
        if isinstance(seen, NoAnswer):
            return _refusal(site, seen)
        if settled := _settle(site, request, seen):
            return settled
    if obstacle := foresee(site.here, request):
        return obstacle
    step = RefChange(ref=branch_ref(request.target), old=request.expected, new=request.new)
    refused = _push(site, [*_marking(request), step])
    if refused is None:
        return _follow_with(site, request)
    refusal = _refusal(site, refused)
    return _Contended(refusal=refusal) if refused.moved else refusal


def _marking(request: LandingRequest) -> list[RefChange]:
    return [RefChange(ref=marker, old=None, new=request.new) for marker in request.markers]


def _push(site: RemoteSite, changes: Sequence[RefChange]) -> PushRefused | None:
    done = push(site.git, site.remote, changes)
    return None if isinstance(done, Pushed) else done


def _settle(
    site: RemoteSite, request: LandingRequest, seen: RemoteRefs
) -> PushedLandingOutcome | _Contended | None:
    """What the remote's refs make of a landing; None: all is as it was, so push."""
    landed = marked_on(site.git, seen)
    if strays := sorted(seen.markers.keys() - landed.keys()):
        at = seen.markers[strays[0]]
        return _Contended(refusal=_put_back(site, strays[0], at, request.target))
    foreign = tuple(marker for marker, at in landed.items() if at != request.new)
    if not foreign and seen.tip is not None and is_ancestor(site.git, request.new, seen.tip):
        # A person may have pushed the branch by hand: then only the markers are missing.
        if len(landed) < len(request.markers) and (refused := _push(site, _marking(request))):
            return _refusal(site, refused)
        return _follow_with(site, request)
    if not foreign and seen.tip == request.expected:
        return None
    kept_up = _catch_up(site, request.target, seen, update_checkout=request.update_checkout)
    if not isinstance(kept_up, InStep):
        return kept_up
    already = tuple(marker for marker in foreign if marker in kept_up.landed)
    return AlreadyLanded(markers=already) if already else TargetMoved(actual=seen.tip)


def _put_back(site: RemoteSite, marker: str, at: Commit, target: Branch) -> RemoteRefused:
    """The remote's target was put back behind a landing: only a person knows whether that was meant."""
    return RemoteRefused(
        reason=f"{site.remote} says by {marker} that this work landed as {at}, which its {target} lacks",
        command=f"{_git(site)} push {site.remote} {shlex.quote(f':{marker}')}",
    )


def _follow_with(site: RemoteSite, request: LandingRequest) -> PushedLandingOutcome:
    """The second half of a landing that the remote has."""
    outcome = site.land(request)
    if isinstance(outcome, TargetMoved):
        kept_up = follow(site, request.target, (), update_checkout=request.update_checkout)
        if isinstance(kept_up, OutOfStep):
            return LandedThereOnly(reason=kept_up.reason, command=kept_up.command)
        outcome = site.land(request)
    match outcome:
        case LandingRefused(reason=reason, command=command):
            return LandedThereOnly(reason=reason, command=command)
        case TargetMoved(actual=actual):
            command = _join_by_hand(site, request.target)
            return LandedThereOnly(reason=f"{request.target} moved to {actual} meanwhile", command=command)
        case Landed() | AlreadyLanded():
            return outcome


def _catch_up(
    site: RemoteSite, target: Branch, seen: RemoteRefs, *, update_checkout: bool
) -> InStep | OutOfStep:
    remote, here = site.remote, tip_of(site.here.git, branch_ref(target))
    to_push = f"{_git(site)} push {remote} {shlex.quote(target)}"
    if seen.tip is None or here is None:
        return OutOfStep(reason=f"{remote} has no branch {target}", command=to_push)
    if here != seen.tip and is_ancestor(site.git, seen.tip, here):
        # Not pushed along: a commit that nobody verified would be published by us.
        return OutOfStep(reason=f"{target} has commits that {remote} lacks", command=to_push)
    if not is_ancestor(site.git, here, seen.tip):
        reason = f"{target} and {remote}'s {target} have diverged"
        return OutOfStep(reason=reason, command=f"{_join_by_hand(site, target)} && {to_push}")
    if here != seen.tip:
        step = LandingRequest(
            target=target, expected=here, new=seen.tip, markers=(), update_checkout=update_checkout
        )
        outcome = site.land(step)
        if isinstance(outcome, LandingRefused):
            reason = f"{target} is behind {remote} and cannot follow: {outcome.reason}"
            return OutOfStep(reason=reason, command=outcome.command)
        if not isinstance(outcome, Landed):
            return InStep(landed={})  # a person moved it meanwhile: the next look will tell
    return InStep(landed=_adopt(site, marked_on(site.git, seen)))


def _adopt(site: RemoteSite, landed: Mapping[str, Commit]) -> Mapping[str, Commit]:
    """Set here the markers of what landed there; which of them are here now. One that is here stays."""
    here = read_refs(site.here.git, *landed) if landed else {}
    missing = {marker: at for marker, at in landed.items() if marker not in here}
    changes = [RefChange(ref=marker, old=None, new=at) for marker, at in missing.items()]
    set_now = missing if isinstance(update_refs(site.here.git, changes), RefsUpdated) else {}
    return {marker: at for marker, at in {**here, **set_now}.items() if marker in landed}


def _git(site: RemoteSite) -> str:
    return f"git -C {shlex.quote(str(site.here.root))}"


def _join_by_hand(site: RemoteSite, target: Branch) -> str:
    git, name = _git(site), shlex.quote(target)
    return f"{git} switch {name} && {git} pull --no-rebase {site.remote} {name}"


def _refusal(site: RemoteSite, refused: PushRefused | NoAnswer) -> RemoteRefused:
    verb = "cannot be reached" if refused.unreachable else "refuses"
    return RemoteRefused(reason=f"{site.remote} {verb}: {refused.reason}", unreachable=refused.unreachable)
