"""The JSON text of events: ASCII, compact, and refused where JSON has no form."""

import json
import math
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cli_multi_rapid.store.envelope import encode, utc_text

texts = st.text(st.characters(exclude_categories=()), max_size=6) | st.sampled_from(
    ["null", "\ud800", "\x7f"]
)
leaves = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | texts
values = st.recursive(leaves, lambda of: st.lists(of, max_size=3) | st.dictionaries(texts, of, max_size=3))


@given(values)
def test_what_is_written_is_read_back_and_plain_ascii(value: object) -> None:
    text = encode(value)
    assert text.isascii()
    assert json.loads(text) == value
    assert json.dumps(json.loads(text)) == json.dumps(value)  # 1 and 1.0 and True are told apart


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
def test_what_json_has_no_form_for_is_refused(number: float) -> None:
    with pytest.raises(ValueError, match="JSON compliant"):
        encode({"cost": [number]})


def test_blanks_are_left_out() -> None:
    assert encode({"a": [1, None, "é"], "b": {}}) == '{"a":[1,null,"\\u00e9"],"b":{}}'


def test_a_time_is_written_in_utc_and_always_equally_long() -> None:
    berlin = timezone(timedelta(hours=2))
    assert utc_text(datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)) == "2026-01-02T03:04:05.000000+00:00"
    assert utc_text(datetime(2026, 1, 2, 3, 4, 5, 6, tzinfo=berlin)) == "2026-01-02T01:04:05.000006+00:00"
