"""What a candidate stands on, which must pass before one of its entries can be blamed. Pure."""

from cli_multi_rapid.core.queue_intents import Tip
from cli_multi_rapid.core.queue_records import Trial
from cli_multi_rapid.core.queue_state import QueueState


def ground_of(state: QueueState, trial: Trial, tip: Tip) -> Tip | None:
    """The tip that the entries of a candidate follow: the present one, or a former one that this queue made.

    None: somebody else made it, and the target has moved on; or the candidate's tree holds others too, which
    landed elsewhere, not below it. Of a former tip the whole tree counts as what checks with `inputs` see:
    they are run once more there.
    """
    if trial.built_with != trial.entries:
        return None
    if trial.tip == tip.commit:
        return tip
    tree = state.former_tips.get(trial.tip)
    return Tip(commit=trial.tip, tree=tree) if tree is not None else None
