"""What the adapters of agents have in common: settings, environment, command line."""

import uuid
from collections.abc import Mapping, Sequence
from typing import Final

from msgspec import Struct, field
from msgspec.structs import replace

from cli_multi_rapid.adapters.launch import CACHES, invocation
from cli_multi_rapid.core.errors import UserError
from cli_multi_rapid.core.ids import ToolName
from cli_multi_rapid.core.plan import Prompt
from cli_multi_rapid.core.price_list import LIST_PRICES
from cli_multi_rapid.core.prices import PriceTable
from cli_multi_rapid.ports import STOP_STEPS, Brief, Invocation, StopStep
from cli_multi_rapid.process import which
from cli_multi_rapid.schema.tools import ToolConfig

_NAMESPACE: Final = uuid.UUID("6f2f0d5e-8a52-4b53-9d55-0c8a8d6f2a11")


class AgentSettings(Struct, frozen=True, kw_only=True):
    """What `config/tools.yaml` and the user's environment say about an agent."""

    model: str | None = None
    """For nodes that name none; None: the agent's own choice."""
    args: tuple[str, ...] = ()
    """More arguments, after ours."""
    variables: Mapping[str, str] = field(default_factory=dict)
    """The variables that the agent needs, such as its key, with their values."""
    prices: PriceTable = field(default_factory=lambda: PriceTable(LIST_PRICES))


def agent_settings(
    config: ToolConfig | None, declared: Sequence[str], environ: Mapping[str, str] | None
) -> AgentSettings:
    """The settings of an agent. `declared`: variables that it needs; the configuration may name more."""
    names = {*declared, *(config.env if config else ())}
    return AgentSettings(
        model=config.model if config else None,
        args=config.args if config else (),
        variables={name: value for name, value in (environ or {}).items() if name in names},
        prices=PriceTable(LIST_PRICES, config.prices if config else ()),
    )


class Agent:
    """What all adapters of agents are: a program that is installed, with settings. Each adds how it works."""

    name: ToolName
    program: str
    install: str
    """What a person without the program is told to do."""
    expects_change: bool = True
    resumes: bool = False

    def __init__(self, settings: AgentSettings | None = None) -> None:
        self._settings = settings or AgentSettings()

    def missing(self, environment: Mapping[str, str]) -> str | None:
        """Why it cannot be used here; None when its program is on the PATH."""
        if which(self.program, environment) is not None:
            return None
        return (
            f"the program {self.program} of the tool {self.name} was not found: install it ({self.install})"
        )


class Launch(Struct, frozen=True, kw_only=True):
    """How an agent is started, beside its arguments."""

    env: Mapping[str, str] = field(default_factory=dict)
    """Variables of ours; the user's and the node's win."""
    ignore: tuple[str, ...] = ()
    made_empty: tuple[str, ...] = ()
    stops: tuple[StopStep, ...] = STOP_STEPS
    session_id: str | None = None


def launched(
    brief: Brief, settings: AgentSettings, argv: Sequence[str], launch: Launch | None = None
) -> Invocation:
    """The agent in the slot: a scrubbed environment, its own temporary folder, our litter rules."""
    launch = launch or Launch()
    program = invocation(brief, argv, ignore=(*CACHES, *launch.ignore))
    return replace(
        program,
        env={**launch.env, **settings.variables, **program.env},
        made_empty=launch.made_empty,
        stops=launch.stops,
        session_id=launch.session_id,
    )


def prompt_argument(brief: Brief, tool: ToolName) -> str:
    """The prompt as one argument that cannot be taken for an option. Raises `UserError` for other work."""
    if not isinstance(brief.node.work, Prompt):
        raise UserError(f"node {brief.node.id}: the tool {tool} takes a goal, no command")
    prompt = brief.prompt.replace("\0", "\ufffd")  # no argument can hold a NUL
    return f" {prompt}" if prompt.startswith("-") else prompt


def model_of(brief: Brief, settings: AgentSettings) -> str | None:
    """The model that the node or the configuration names. Raises `UserError` for what would be an option."""
    model = brief.node.model or settings.model
    if model is not None and (not model.strip() or model.startswith("-")):
        raise UserError(f"node {brief.node.id}: {model!r} is no name of a model")
    return model


def model_option(option: str, brief: Brief, settings: AgentSettings) -> tuple[str, ...]:
    """`--model NAME`, or nothing when the agent is to choose."""
    model = model_of(brief, settings)
    return () if model is None else (option, model)


def new_session_id(brief: Brief) -> str:
    """A UUID for the session of this attempt: no other attempt has it."""
    return str(uuid.uuid5(_NAMESPACE, f"{brief.run_id}/{brief.node.id}/{brief.attempt}"))
