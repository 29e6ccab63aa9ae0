"""YAML to the tree of a document, event by event.

The events of the parser are used, not its own node graph: they cost half as much, nesting cannot overflow
the stack, and the meaning of plain scalars stays ours (YAML 1.1 turns `no`, `012` and `12:30` into
something that nobody wrote).
"""

from typing import Any, Final

import yaml

from cli_multi_rapid.schema.problems import Code, Problems
from cli_multi_rapid.schema.source import Source, quoted
from cli_multi_rapid.schema.tree import Stop, TreeBuilder
from cli_multi_rapid.schema.values import Value

# Wheels without libyaml have no C loader; the pure one gives the same events, eight times slower.
LOADER: Final[Any] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

_TAGS: Final = frozenset(
    f"tag:yaml.org,2002:{name}" for name in ("str", "int", "float", "bool", "null", "seq", "map")
)
_STARTS: Final = (yaml.MappingStartEvent, yaml.SequenceStartEvent)
_ENDS: Final = (yaml.MappingEndEvent, yaml.SequenceEndEvent)
_TEXT_TAGS: Final = frozenset(("!", "tag:yaml.org,2002:str"))


def read_yaml(source: Source, problems: Problems, *, loader: Any = LOADER) -> Value | None:
    """The tree of the one document in a text; None when it is empty or cannot be read (problems tell)."""
    builder = TreeBuilder(source, problems, merge_keys=True)
    parser = loader(source.text)
    try:
        _feed(parser, builder)
    except Stop:
        return None
    except yaml.MarkedYAMLError as error:
        _report_syntax(error, source, builder)
        return None
    except yaml.YAMLError as error:
        builder.report(Code.SYNTAX, 0, f"this is not YAML: {error}")
        return None
    finally:
        parser.dispose()
    return builder.root


def _feed(parser: Any, builder: TreeBuilder) -> None:
    documents = 0
    while True:
        event = parser.get_event()
        kind = type(event)
        if kind is yaml.ScalarEvent:
            plain = event.tag is None or _keeps_meaning(event, builder)
            builder.scalar(event.value, plain and event.implicit[0], event.start_mark.index, event.anchor)
        elif kind in _STARTS:
            _keeps_meaning(event, builder)
            begin = builder.begin_table if kind is yaml.MappingStartEvent else builder.begin_list
            begin(event.start_mark.index, event.anchor)
        elif kind in _ENDS:
            builder.end()
        elif kind is yaml.AliasEvent:
            builder.alias(event.anchor, event.start_mark.index)
        elif kind is yaml.DocumentStartEvent:
            documents += 1
            if documents > 1:
                _refuse_second(event, builder)
        elif kind is yaml.StreamEndEvent:
            return


def _refuse_second(event: Any, builder: TreeBuilder) -> None:
    builder.report(
        Code.SEVERAL_DOCUMENTS,
        event.start_mark.index,
        "a second document begins here, and a file holds one",
        suggestion="remove the `---`, or put the second document into a file of its own",
    )
    raise Stop


def _keeps_meaning(event: Any, builder: TreeBuilder) -> bool:
    """Whether a scalar with this tag keeps the meaning of its plain form. Refuses foreign tags."""
    tag = event.tag
    if tag is None:
        return True
    if tag not in _TAGS and tag != "!":
        builder.report(
            Code.TAG,
            event.start_mark.index,
            f"the tag {quoted(tag)} is not understood here",
            suggestion="remove the tag; documents hold plain data only",
        )
    return tag not in _TEXT_TAGS


def _report_syntax(error: yaml.MarkedYAMLError, source: Source, builder: TreeBuilder) -> None:
    mark = error.problem_mark or error.context_mark
    what = error.problem or error.context or "cannot be read"
    if error.context and error.problem:
        what = f"{what} ({error.context})"
    offset = mark.index if mark else 0
    suggestion = _syntax_help(what, source.text[offset : offset + 1])
    builder.report(Code.SYNTAX, offset, f"this is not YAML: {what}", suggestion=suggestion)


def _syntax_help(what: str, char: str) -> str:
    if char == "\t":
        return "indent with spaces; YAML allows no tabs there"
    if "cannot start any token" in what:
        return "put the text into quotes"
    if "mapping values are not allowed" in what:
        return "a text with a colon and a space needs quotes; or the indentation is wrong"
    if "expected <block end>" in what or "could not find expected ':'" in what:
        return "check the indentation, quotes and brackets here and on the line above"
    if "found unexpected end of stream" in what:
        return "a quote or bracket is not closed"
    return "check the indentation, quotes and brackets"
