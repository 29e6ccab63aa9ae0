"""The published schemas of our own documents say what the types say that make these documents."""

import pytest

from cli_multi_rapid.schema.published import load_schema, schema_names, schema_text
from scripts.output_schemas import OUTPUTS, text_of

WRITTEN_BY_PEOPLE = {"plan", "streams", "phases", "tools", "config"}
KEPT_BY_HAND = {"problems", "merge_queue", "tool_health"}


@pytest.mark.parametrize("name", OUTPUTS)
def test_a_published_output_schema_is_up_to_date(name: str) -> None:
    assert schema_text(name) == text_of(name), "run: .venv/bin/python -m scripts.output_schemas"


def test_every_schema_has_an_origin() -> None:
    assert set(schema_names()) == set(OUTPUTS) | WRITTEN_BY_PEOPLE | KEPT_BY_HAND


def test_outputs_may_grow_but_never_lack_a_key() -> None:
    report = load_schema("report")
    assert isinstance(report["required"], list)
    assert set(report["required"]) >= {"schema_version", "run_id", "status", "nodes", "cost_summary"}
    assert "additionalProperties" not in report
