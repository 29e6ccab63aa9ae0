"""Reports as JSON text: the same bytes as the standard library's, only sooner."""

import json

from hypothesis import given
from hypothesis import strategies as st

from cli_multi_rapid.reports.json_text import indented_json

TEXTS = st.text(st.characters(codec=None), max_size=8)  # halves of surrogate pairs too
PLAIN = st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats(allow_nan=False) | TEXTS
DOCUMENTS = st.recursive(
    PLAIN, lambda part: st.lists(part, max_size=4) | st.dictionaries(TEXTS, part, max_size=4), max_leaves=20
)


@given(DOCUMENTS, st.booleans())
def test_a_document_reads_as_the_standard_library_indents_it(document: object, ascii_only: bool) -> None:
    assert indented_json(document, ascii_only=ascii_only) == json.dumps(
        document, indent=2, ensure_ascii=ascii_only
    )
