"""No secret reaches a log or a screen, whatever shape it has and wherever the output was cut."""

import json
import time
from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cli_multi_rapid.redaction import (
    MASK,
    RedactingStream,
    Redactor,
    escaped_json,
    is_secret_name,
    printable,
)

PASSWORD = "hunter2-and-more"
# Put together here so that no scanner of this repository takes them for real.
SHAPES = {
    "openai": "sk-" + "proj-4f9aB7c2D8e1F6a3B5c9",
    "anthropic": "sk-" + "ant-api03-4f9aB7c2D8e1F6a3B5c9_x-Y",
    "stripe": "sk_" + "live_4f9aB7c2D8e1F6a3B5c9",
    "github": "ghp_" + "4f9aB7c2D8e1F6a3B5c94f9aB7c2D8e1F6a3",
    "github fine-grained": "github_" + "pat_11ABCDEFG0aBcDeFgHiJkL_mNoPqRsTuVwXyZ",
    "gitlab": "glpat-" + "4f9aB7c2D8e1F6a3B5c9",
    "aws": "AKIA" + "IOSFODNN7EXAMPLE",
    "google": "AIza" + "SyA-4f9aB7c2D8e1F6a3B5c94f9aB7c2D8e",
    "slack": "xoxb-" + "123456789012-4f9aB7c2D8e1F6a3",
    "hugging face": "hf_" + "abcdefghijklmnopqrstuvwxyzABCDEF12",
    "npm": "npm_" + "4f9aB7c2D8e1F6a3B5c94f9aB7c2D8e1F6a3",
    "jwt": "eyJ" + "hbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9PlFUP0THsR8U",
}
KEY_BODY = "MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQC7"
KEY = f"-----BEGIN RSA PRIVATE KEY-----\n{KEY_BODY}\n{KEY_BODY[::-1]}\n-----END RSA PRIVATE KEY-----"


def streamed(redactor: Redactor, pieces: Iterable[bytes]) -> bytes:
    stream = RedactingStream(redactor)
    return b"".join([*(stream.feed(piece) for piece in pieces), stream.finish()])


# --- secrets that are known by their value ------------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    ["API_KEY", "github_token", "MY_SECRET", "DB_PASSWORD", "AWS_CREDENTIALS", "PGPASSWD", "GITLAB_PAT"],
)
def test_a_variable_that_sounds_secret_is_masked(name: str) -> None:
    assert (
        Redactor.from_environment({name: PASSWORD}).redact(f"login with {PASSWORD}!") == f"login with {MASK}!"
    )


@pytest.mark.parametrize(
    "name", ["PWD", "OLDPWD", "HOME", "SSH_KEY_FILE", "TOKEN_PATH", "CLI_ORCHESTRATOR_KEY"]
)
def test_a_variable_that_holds_a_place_stays_readable(name: str) -> None:
    assert not is_secret_name(name)


def test_a_short_value_is_an_ordinary_word_and_stays() -> None:
    assert Redactor.from_environment({"API_KEY": "none"}).redact("none of them") == "none of them"


def test_a_secret_inside_json_or_a_url_is_masked_too() -> None:
    secret = 'pa"ss w\\örd/9'
    redactor = Redactor([secret])
    assert redactor.redact(json.dumps({"password": secret})) == json.dumps({"password": MASK})
    assert redactor.redact(json.dumps([secret], ensure_ascii=False)) == json.dumps([MASK])
    assert redactor.redact("?p=pa%22ss%20w%5C%C3%B6rd%2F9&x=1") == f"?p={MASK}&x=1"


def test_every_line_of_a_long_secret_is_masked_alone() -> None:
    redactor = Redactor(["first-line-of-the-file\nsecond-line-of-the-file"])
    assert redactor.redact("> second-line-of-the-file") == f"> {MASK}"


def test_the_longest_of_overlapping_secrets_wins() -> None:
    assert Redactor(["abcdefgh", "abcdefghijkl"]).redact("abcdefghijkl.") == f"{MASK}."


def test_output_that_is_no_utf8_is_kept_around_a_secret() -> None:
    assert Redactor([PASSWORD]).redact_bytes(b"\xff\xfe" + PASSWORD.encode() + b"\x80") == (
        b"\xff\xfe" + MASK.encode() + b"\x80"
    )


@given(st.text(st.characters(), max_size=200))
def test_text_without_secrets_is_unchanged(text: str) -> None:
    assert Redactor([PASSWORD]).redact(text) == text


# --- secrets that are known by their shape ------------------------------------------------------------------


@pytest.mark.parametrize("secret", SHAPES.values(), ids=SHAPES.keys())
@pytest.mark.parametrize("around", ["{}", 'key="{}"', '{{"k":"{}"}}', "TOKEN={}\n", "({}),"])
def test_a_known_kind_of_key_is_masked_wherever_it_stands(secret: str, around: str) -> None:
    assert Redactor().redact(around.format(secret)) == around.format(MASK)


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("Authorization: Bearer abc.def-ghi_123456", f"Authorization: Bearer {MASK}"),
        ("authorization: bearer abcdef123456==", f"authorization: bearer {MASK}"),
        ("Authorization: Basic dXNlcjpwYXNzd29yZA==", f"Authorization: Basic {MASK}"),
        ("https://me:s3cret@host/x.git", f"https://me:{MASK}@host/x.git"),
        ("postgresql://:pw@localhost:5432/db", f"postgresql://:{MASK}@localhost:5432/db"),
        ("https://0123456789abcdef0123456789abcdef@host/", f"https://{MASK}@host/"),
    ],
)
def test_only_the_secret_part_is_masked(text: str, masked: str) -> None:
    assert Redactor().redact(text) == masked


@pytest.mark.parametrize(
    "text",
    [
        "ssh://git@github.com/a/b.git and git@github.com:a/b.git",
        "https://example.com:8080/path?at=user@example.com",
        "pip install sk-learn-contrib-packages-for-all task-1234567890123456",
        "the bearer of this letter",
        "commit 275d8ba0f3c1e2d4b5a6978877665544332211ff",
        "ASIANGAMES AKIA xoxo eyJ hf_ npm_",
        'if "-----BEGIN RSA PRIVATE KEY-----" in text: raise ValueError',
    ],
)
def test_ordinary_text_stays_readable(text: str) -> None:
    redacted = Redactor().redact(text)
    assert redacted == text.replace("-----BEGIN RSA PRIVATE KEY-----", MASK)


def test_a_private_key_is_masked_as_a_whole_also_inside_json() -> None:
    assert Redactor().redact(f"a\n{KEY}\nb") == f"a\n{MASK}\nb"
    assert Redactor().redact(json.dumps({"key": KEY, "x": 1})) == json.dumps({"key": MASK, "x": 1})


def test_a_private_key_that_was_cut_off_is_masked_as_far_as_it_goes() -> None:
    assert Redactor().redact(KEY[:90] + "\nnext: words") == f"{MASK}\nnext: words"
    assert Redactor().redact(KEY[:70]) == MASK


# --- output that comes in pieces ----------------------------------------------------------------------------

_PARTS = st.sampled_from(
    ["word ", "\n", "x" * 50, PASSWORD, f"{KEY}\n", *(f"{shape} " for shape in SHAPES.values())]
)


@given(st.lists(_PARTS, max_size=12), st.lists(st.integers(1, 80), max_size=30))
def test_however_the_output_is_cut_it_reads_as_if_it_came_at_once(parts: list[str], sizes: list[int]) -> None:
    redactor = Redactor([PASSWORD])
    text = "".join(parts).encode()
    pieces, position = [], 0
    for size in sizes:
        pieces.append(text[position : position + size])
        position += size
    result = streamed(redactor, [*pieces, text[position:]])
    assert result == redactor.redact_bytes(text)
    assert PASSWORD.encode() not in result
    assert KEY_BODY.encode() not in result


def test_a_secret_in_an_endless_line_is_masked_at_every_offset() -> None:
    redactor = Redactor([PASSWORD])
    for offset in range(61_400, 61_460):
        text = b"-" * offset + PASSWORD.encode() + b"-" * 70_000
        result = streamed(redactor, (text[i : i + 4096] for i in range(0, len(text), 4096)))
        assert result == text.replace(PASSWORD.encode(), MASK.encode())


def test_complete_lines_are_passed_on_at_once_and_an_endless_line_in_bounded_pieces() -> None:
    stream = RedactingStream(Redactor())
    assert stream.feed(b"one\ntwo\nthr") == b"one\ntwo\n"
    assert stream.feed(b"ee\n") == b"three\n"
    waiting = 0
    for _ in range(100):
        waiting += 8192 - len(stream.feed(b"." * 8192))
        assert waiting <= 80_000


def test_a_key_that_never_ends_does_not_hold_the_output_back_for_ever() -> None:
    stream = RedactingStream(Redactor())
    passed = stream.feed(b"-----BEGIN PRIVATE KEY-----\n")
    for _ in range(2000):
        passed += stream.feed(KEY_BODY.encode() + b"\n")
    assert passed


@pytest.mark.parametrize(
    "bait",
    [
        *(
            "eyJ",
            "sk-",
            "://",
            "://a:",
            "earer ",
            "Bearer    ",
            "eyJaaaaaaaaa.eyJ",
            "AKIA",
            ": Basic ",
            "xox",
        ),
        *(
            "-----BEGIN RSA PRIVATE KEY-----",
            "-----BEGIN PRIVATE KEY----- -----END ",
            "\x1b[",
            "\x1b]",
            "\x9b",
        ),
        "-----BEGIN PRIVATE KEY-----" + "A" * 40,
    ],
)
def test_hostile_output_costs_no_more_than_its_length(bait: str) -> None:
    text = bait * (400_000 // len(bait))
    start = time.process_time()
    streamed(Redactor([PASSWORD]), [text.encode()])
    printable(text)
    # A pattern that backtracks would take minutes here; half a second is usual on a slow machine.
    assert time.process_time() - start < 10


# --- the terminal -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain ünïcödé 漢字", "plain ünïcödé 漢字"),
        ("\x1b[1;31mred\x1b[0m", "red"),
        ("a\x1b]0;new title\x07b", "ab"),
        ("\x1b]8;;http://evil\x1b\\link\x1b]8;;\x1b\\", "link"),
        ("\x9b2Jcleared\x1bc", "cleared"),
        ("a\x1bP$qm\x1b\\b", "ab"),
        ("dos\r\nline\rover", "dos\nline\nover"),
        ("tab\tnew\nline", "tab\tnew\nline"),
        ("bell\x07 null\x00 del\x7f back\x08", "bell null del back"),
        ("right\u202eleft\u2066\u061c", "rightleft"),
        ("lone\udc80", "lone"),
        ("cut off \x1b", "cut off "),
    ],
)
def test_nothing_that_steers_a_terminal_is_shown(text: str, shown: str) -> None:
    assert printable(text) == shown


def test_json_for_a_terminal_means_the_same_and_steers_nothing() -> None:
    data = {"a\u202e": ["\x9b2J", "\x7f", "plain ünïcödé 漢字"]}
    text = escaped_json(json.dumps(data, ensure_ascii=False))
    assert json.loads(text) == data
    assert text == printable(text)
    assert "漢字" in text


@given(st.text(st.characters(), max_size=100))
def test_what_is_shown_has_no_control_characters_and_can_be_written(text: str) -> None:
    shown = printable(text)
    shown.encode()
    assert all(char in "\n\t" or char >= " " for char in shown)
    assert "\x1b" not in shown
