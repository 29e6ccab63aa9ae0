"""The scripted model server keeps the promises of every API that it speaks. Plain HTTP, on loopback."""

import http.client
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Protocol

import pytest

from tests.contract.model_speakers import MODEL, SPEAKERS, Heard, Reply, Speaker, ask
from tests.fakes.model_server.script import Call, Cut, Gather, Refuse, Say, Script, Silence, Tokens
from tests.fakes.model_server.script_file import read_scripts
from tests.fakes.model_server.server import KEY, ModelServer

pytestmark = pytest.mark.allow_hosts(["127.0.0.1"])

TEXT = "A text that is long enough to be streamed in several pieces, with a line\nand an ä."
EDIT = Call(tool="Write", arguments={"path": "a.txt", "text": TEXT}, tokens=Tokens(input=70, output=7))
DONE = Say(text=TEXT, tokens=Tokens(input=100, cached=40, output=9, reasoning=2))


class Serve(Protocol):
    """Start a server whose scripts have these names."""

    def __call__(self, **scripts: Script) -> ModelServer: ...


@pytest.fixture
def serve() -> Iterator[Serve]:
    with ExitStack() as running:
        yield lambda **scripts: running.enter_context(ModelServer(scripts))


@pytest.fixture(params=SPEAKERS, ids=lambda speaker: speaker.name)
def speaker(request: pytest.FixtureRequest) -> Speaker:
    found: Speaker = request.param
    return found


def heard(speaker: Speaker, reply: Reply, *, stream: bool) -> Heard:
    assert reply.status == 200, reply.data
    return speaker.joined(reply.events) if stream else speaker.whole(reply.document)


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
def test_the_answers_of_a_script_come_in_their_order_with_their_usage(
    serve: Serve, speaker: Speaker, stream: bool
) -> None:
    server = serve(edit=[EDIT, DONE])
    first, second = (
        ask(server.url, speaker, "Do it. script=edit", answers=answers, stream=stream, key=KEY)
        for answers in (0, 1)
    )
    assert heard(speaker, first, stream=stream) == Heard(call=("Write", EDIT.arguments), usage=(70, 0, 7))
    # Anthropic alone counts what the cache had apart from the rest of the input.
    read = 60 if speaker.name == "anthropic" else 100
    assert heard(speaker, second, stream=stream) == Heard(text=TEXT, usage=(read, 40, 9))
    assert [(known.dialect, known.model, known.tokens) for known in server.stage.settled("edit")] == [
        (speaker.name, MODEL, EDIT.tokens),
        (speaker.name, MODEL, DONE.tokens),
    ]


@pytest.mark.parametrize("status", [400, 401, 403, 404, 429, 500, 503, 529])
def test_an_error_has_its_status_and_the_reason_in_the_form_of_the_vendor(
    serve: Serve, speaker: Speaker, status: int
) -> None:
    server = serve(bad=[Refuse(status=status, message="no luck today"), DONE])
    reply = ask(server.url, speaker, "script=bad", key=KEY)
    assert (reply.status, reply.document["error"]["message"]) == (status, "no luck today")


def test_a_fault_that_happens_twice_lets_the_third_request_through(serve: Serve, speaker: Speaker) -> None:
    server = serve(shy=[Refuse(status=529, times=2), DONE])
    statuses = [ask(server.url, speaker, "script=shy", key=KEY).status for _ in range(3)]
    assert statuses == [529, 529, 200]


def test_a_wrong_key_is_refused_whatever_the_script_says(serve: Serve, speaker: Speaker) -> None:
    server = serve(edit=[DONE])
    assert ask(server.url, speaker, "script=edit", key="sk-of-somebody-else").status == 401


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("after", [1, 1000], ids=["in the middle", "before the end"])
def test_a_cut_breaks_the_connection_inside_the_answer(
    serve: Serve, speaker: Speaker, stream: bool, after: int
) -> None:
    server = serve(cut=[Cut(after=after, times=1), DONE])
    with pytest.raises(http.client.IncompleteRead) as broken:
        ask(server.url, speaker, "script=cut", stream=stream, key=KEY)
    assert broken.value.partial
    again = ask(server.url, speaker, "script=cut", stream=stream, key=KEY)
    assert heard(speaker, again, stream=stream).text == TEXT
    assert [known.whole for known in server.stage.settled("cut")] == [False, True]


@pytest.mark.parametrize("after", [None, 1], ids=["from the start", "in the middle"])
def test_silence_lasts_until_the_client_leaves(serve: Serve, speaker: Speaker, after: int | None) -> None:
    server = serve(mute=[Silence(after=after), DONE])
    with pytest.raises(TimeoutError):
        ask(server.url, speaker, "script=mute", stream=True, key=KEY, patience_s=0.2)
    (ended,) = server.stage.settled()
    assert (ended.whole, ended.status) == (False, None if after is None else 200)


def test_a_server_that_ends_ends_its_silences(serve: Serve) -> None:
    server = serve(mute=[Silence()])
    with ThreadPoolExecutor(1) as client:
        asked = client.submit(ask, server.url, SPEAKERS[0], "script=mute", key=KEY)
        server.stage.wait_until_asked("mute")
        server.close()
        with pytest.raises(ConnectionError):
            asked.result()


def test_scripts_that_gather_are_answered_only_together(serve: Serve, speaker: Speaker) -> None:
    both: Script = [Gather(name="both", count=2), DONE]
    server = serve(one=both, two=both)
    with ThreadPoolExecutor(2) as clients:
        one = clients.submit(ask, server.url, speaker, "script=one", key=KEY)
        server.stage.wait_until_asked("one")
        assert server.stage.exchanges() == ()
        two = clients.submit(ask, server.url, speaker, "script=two", key=KEY)
        assert [one.result().status, two.result().status] == [200, 200]


@pytest.mark.parametrize(
    ("prompt", "answers", "reason"),
    [
        ("script=unknown", 0, "there is no script unknown"),
        ("names none", 0, "there is no script default"),
        ("script=edit", 1, "the script edit has no answer 2"),
    ],
)
def test_a_mistake_in_a_script_is_told_in_a_way_that_no_client_retries(
    serve: Serve, speaker: Speaker, prompt: str, answers: int, reason: str
) -> None:
    reply = ask(serve(edit=[DONE]).url, speaker, prompt, answers=answers, key=KEY)
    assert (reply.status, reply.document["error"]["message"]) == (400, reason)


def test_a_file_holds_what_a_script_can_hold(tmp_path: Path) -> None:
    written = tmp_path / "scripts.yaml"
    written.write_text(
        """
        edit:
          - error: 529
            times: 1
          - gather: all
            count: 4
          - call: Write
            with: {path: a.txt, text: hello}
            tokens: {input: 1000, output: 100}
          - cut: 3
          - silence:
            times: 2
          - say: Done
        """
    )
    assert read_scripts(written) == {
        "edit": (
            Refuse(status=529, times=1),
            Gather(name="all", count=4),
            Call(
                tool="Write",
                arguments={"path": "a.txt", "text": "hello"},
                tokens=Tokens(input=1000, output=100),
            ),
            Cut(after=3),
            Silence(times=2),
            Say(text="Done"),
        )
    }


def test_an_unknown_turn_in_a_file_is_named(tmp_path: Path) -> None:
    written = tmp_path / "scripts.yaml"
    written.write_text("edit: [{sing: la}]")
    with pytest.raises(ValueError, match="no turn begins with sing: say, call"):
        read_scripts(written)
