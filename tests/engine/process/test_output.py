"""What programs print is redacted, bounded, and shown as it comes."""

import resource
import sys
from pathlib import Path

import pytest

from cli_multi_rapid.process import Supervision
from cli_multi_rapid.process_output import BoundedLog, Excerpt
from tests.engine.process.bench import SECRET, Bench


def test_a_flood_leaves_a_bounded_log_with_both_ends(bench: Bench) -> None:
    limit = 1_000_000
    end = bench.supervise(
        "echo BEGIN; yes 'one more line of output' | head -c 50000000; echo; echo END",
        limits=Supervision(timeout_s=None, max_log_bytes=limit, excerpt_bytes=1000),
    )
    assert end.code == 0
    log = end.log.read_bytes()
    assert limit * 0.99 < len(log) < limit + 200
    assert log.startswith(b"BEGIN\none more line of output\n")
    assert log.endswith(b"\nEND\n")
    assert f"{end.log_truncated_bytes} bytes are missing".encode() in log
    assert end.log_truncated_bytes > 48_000_000
    assert (len(end.output_head), len(end.output_tail)) == (1000, 1000)
    assert end.output_tail.endswith(b"END\n")
    assert end.output.count(b"missing here") == 1
    assert end.output_missing_bytes + 2000 == 50_000_000 + len("BEGIN\n\nEND\n")


def test_a_secret_that_is_written_in_two_parts_is_masked(bench: Bench) -> None:
    # The second part follows when the first was read: FIONREAD tells what is still in the pipe.
    script = f"""
import array, fcntl, os, termios
def write(text):
    os.write(1, text.encode())
    waiting = array.array("i", [1])
    while waiting[0]:
        fcntl.ioctl(1, termios.FIONREAD, waiting)
write("login {SECRET[:7]}")
write("{SECRET[7:]} done\\n")
"""
    lines: list[str] = []
    end = bench.supervise([sys.executable, "-c", script], on_line=lines.append)
    assert end.code == 0
    assert end.log.read_bytes() == end.output == b"login [redacted] done\n"
    assert lines == ["login [redacted] done"]


def test_whoever_watches_gets_each_line_and_the_unfinished_last_one(bench: Bench) -> None:
    lines: list[str] = []
    bench.supervise(r"printf 'one\r\n\ntwo\377\nthree'", on_line=lines.append)
    assert lines == ["one", "", "two\ufffd", "three"]


def test_whoever_watches_gets_an_endless_line_in_pieces(bench: Bench) -> None:
    lines: list[str] = []
    bench.supervise("head -c 1000000 /dev/zero | tr '\\0' x", on_line=lines.append)
    assert "".join(lines) == "x" * 1_000_000
    assert max(map(len, lines)) < 250_000


def test_a_log_that_cannot_grow_does_not_end_the_program(bench: Bench) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))
    try:
        end = bench.supervise("yes | head -c 1000000; echo END")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert end.code == 0
    assert end.output_tail.endswith(b"END\n")
    assert "log is incomplete" in end.problem
    assert end.log.stat().st_size == 100_000


@pytest.mark.parametrize("piece", [1, 7, 64, 1000])
@pytest.mark.parametrize("total", [0, 99, 100, 101, 150, 249, 5000])
def test_the_log_keeps_the_head_and_the_last_whole_lines(tmp_path: Path, piece: int, total: int) -> None:
    text = b"".join(b"%04d\n" % number for number in range(1000))[:total]
    log = BoundedLog(tmp_path / "log", 100)
    for start in range(0, total, piece):
        log.write(text[start : start + piece])
    missing = log.finish()
    log.close()
    content = (tmp_path / "log").read_bytes()
    if total <= 100:
        assert (content, missing) == (text, 0)
    else:
        head, _, tail = content.split(b"\n[...")[0], *content.split(b"...]\n")
        assert head == text[:50]
        assert text.endswith(tail)
        assert text[-len(tail) - 1 : -len(tail)] in (b"\n", b"")
        assert len(head) + len(tail) + missing == total


@pytest.mark.parametrize("size", [0, 1, 10])
@pytest.mark.parametrize("total", [0, 1, 10, 15, 20, 21, 500])
def test_an_excerpt_is_exact_at_both_ends(size: int, total: int) -> None:
    text = bytes(range(256)) * 2
    text = text[:total]
    excerpt = Excerpt(size)
    for start in range(0, total, 3):
        excerpt.add(text[start : start + 3])
    assert excerpt.head == text[:size]
    assert text[size:].endswith(excerpt.tail)
    assert len(excerpt.head) + excerpt.missing + len(excerpt.tail) == total
    assert excerpt.missing == max(0, total - 2 * size)
