"""What it costs to wait for agents that do nothing."""

from functools import partial

from benchmarks.suite.ground import fresh_repository, shell_node, write_plan
from benchmarks.suite.pairs import Absent, in_turn
from benchmarks.suite.peers import Peers
from benchmarks.suite.price import Price, own_price
from benchmarks.suite.rows import Row, Scale, Table

_AGENTS = 8
_SHORT_S = 1
_GOAL_SHARE = 0.02


def measure(scale: Scale, _peers: Peers) -> list[Row]:
    """The same run with a short and with a long sleep: what the difference costs is the waiting."""
    long_s = 6 if scale.quick else 21
    found = in_turn({"short": partial(_sleepers, _SHORT_S), "long": partial(_sleepers, long_s)}, scale.rounds)
    short, long = found["short"], found["long"]
    what = f"{_AGENTS} sleeping agents, {long_s - _SHORT_S} s of waiting"
    if isinstance(short, Absent) or isinstance(long, Absent):
        return [Row(what=what, note=f"not measured: {found}")]
    share = max(0.0, long.cpu_s - short.cpu_s) / (long_s - _SHORT_S)
    return [
        Row(
            what=what,
            cpu_s=max(0.0, long.cpu_s - short.cpu_s),
            figure=f"{100 * share:.2f} % of a core",
            goal=f"<= {100 * _GOAL_SHARE:g} % of a core",
            reached=share <= _GOAL_SHARE,
            rounds=min(short.rounds, long.rounds),
            note=f"CPU of a run: sleeping {_SHORT_S} s {short.cpu_s:.2f} s, {long_s} s {long.cpu_s:.2f} s",
        )
    ]


def _sleepers(seconds: int) -> Price:
    with fresh_repository() as made:
        nodes = [shell_node(f"n{number}", f"sleep {seconds}") for number in range(_AGENTS)]
        plan = write_plan(made.path.parent / "plan.json", nodes, check=None)
        return own_price(made.path, "execute", str(plan), "--yes", "--workers", str(_AGENTS))


TABLE = Table(
    name="sleeping",
    title="Waiting for agents",
    about="Eight nodes that sleep, all at once; CPU of the whole tree, sleepers and wardens included.",
    growth="Constant: nothing polls but the loop's own net, a look at the log every two seconds.",
    measure=measure,
)
