"""How a client speaks each API of the model server, written from the vendors' descriptions and not from the
server: a request by plain HTTP, and what the reply means."""

import http.client
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias
from urllib.parse import urlsplit

Json: TypeAlias = Mapping[str, Any]

MODEL = "m-1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """What a reply says; the counts as this vendor counts them."""

    text: str = ""
    call: tuple[str, Json] | None = None
    usage: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Speaker:
    """One API."""

    name: str
    path: Callable[[bool], str]
    body: Callable[[str, int, bool], Json]
    """Of a prompt, the number of answers that the model gave since, and whether to stream."""
    whole: Callable[[Json], Heard]
    joined: Callable[[Sequence[Json]], Heard]
    """Of the events of a stream."""
    key_header: Callable[[str], tuple[str, str]] = lambda key: ("Authorization", f"Bearer {key}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """A reply that has come whole."""

    status: int
    data: bytes

    @property
    def document(self) -> Json:
        """The body as JSON."""
        found: Json = json.loads(self.data)
        return found

    @property
    def events(self) -> list[Json]:
        """The data of the server-sent events."""
        lines = (
            line.removeprefix(b"data: ") for line in self.data.splitlines() if line.startswith(b"data: ")
        )
        return [json.loads(line) for line in lines if line != b"[DONE]"]


def ask(
    url: str,
    speaker: Speaker,
    prompt: str,
    *,
    answers: int = 0,
    stream: bool = False,
    key: str,
    patience_s: float = 30,
) -> Reply:
    """One request. Raises what `http.client` raises for a reply that does not come whole."""
    place = urlsplit(url)
    connection = http.client.HTTPConnection(str(place.hostname), place.port, timeout=patience_s)
    body = json.dumps(speaker.body(prompt, answers, stream))
    try:
        connection.request("POST", speaker.path(stream), body, dict([speaker.key_header(key)]))
        reply = connection.getresponse()
        return Reply(status=reply.status, data=reply.read())
    finally:
        connection.close()


# --- Anthropic Messages -------------------------------------------------------------------------------------


def _anthropic_body(prompt: str, answers: int, stream: bool) -> Json:
    messages: list[Json] = [{"role": "user", "content": [{"type": "text", "text": prompt}]}]
    for number in range(answers):
        use = {"type": "tool_use", "id": f"t{number}", "name": "Bash", "input": {}}
        result = {"type": "tool_result", "tool_use_id": f"t{number}", "content": "script=misleading"}
        messages += [{"role": "assistant", "content": [use]}, {"role": "user", "content": [result]}]
    return {"model": MODEL, "max_tokens": 9, "messages": messages, "stream": stream}


def _anthropic_whole(document: Json) -> Heard:
    (block,) = document["content"]
    usage = document["usage"]
    counts = (usage["input_tokens"], usage["cache_read_input_tokens"], usage["output_tokens"])
    if block["type"] == "text":
        assert document["stop_reason"] == "end_turn"
        return Heard(text=block["text"], usage=counts)
    assert document["stop_reason"] == "tool_use"
    return Heard(call=(block["name"], block["input"]), usage=counts)


def _anthropic_joined(events: Sequence[Json]) -> Heard:
    start, block, *deltas, stop, end, last = events
    assert [start["type"], stop["type"], last["type"]] == [
        "message_start",
        "content_block_stop",
        "message_stop",
    ]
    text = "".join(event["delta"].get("text", "") for event in deltas)
    arguments = "".join(event["delta"].get("partial_json", "") for event in deltas)
    content = {**block["content_block"], "text": text, "input": json.loads(arguments or "{}")}
    return _anthropic_whole(
        {
            **end["delta"],
            "content": [content],
            "usage": {**start["message"]["usage"], **end["usage"]},
        }
    )


ANTHROPIC = Speaker(
    name="anthropic",
    path=lambda _stream: "/v1/messages?beta=true",
    body=_anthropic_body,
    whole=_anthropic_whole,
    joined=_anthropic_joined,
    key_header=lambda key: ("x-api-key", key),
)

# --- OpenAI Chat Completions --------------------------------------------------------------------------------


def _chat_body(prompt: str, answers: int, stream: bool) -> Json:
    # An example answer before the prompt, as aider sends some: it is no answer to this prompt.
    messages: list[Json] = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "An example"},
        {"role": "assistant", "content": "Ok."},
        {"role": "user", "content": prompt},
    ]
    for number in range(answers):
        messages.append({"role": "assistant", "content": None, "tool_calls": []})
        messages.append({"role": "tool", "tool_call_id": f"c{number}", "content": "script=misleading"})
    return {"model": MODEL, "messages": messages, "stream": stream}


def _chat_heard(message: Json, finish_reason: str, usage: Json) -> Heard:
    counts = (
        usage["prompt_tokens"],
        usage["prompt_tokens_details"]["cached_tokens"],
        usage["completion_tokens"],
    )
    if message.get("tool_calls"):
        assert finish_reason == "tool_calls"
        (call,) = message["tool_calls"]
        return Heard(call=(call["function"]["name"], json.loads(call["function"]["arguments"])), usage=counts)
    assert finish_reason == "stop"
    return Heard(text=message["content"], usage=counts)


def _chat_whole(document: Json) -> Heard:
    (choice,) = document["choices"]
    return _chat_heard(choice["message"], choice["finish_reason"], document["usage"])


def _chat_joined(events: Sequence[Json]) -> Heard:
    *chunks, end, usage = events
    assert usage["choices"] == []
    deltas = [chunk["choices"][0]["delta"] for chunk in chunks]
    calls = [delta["tool_calls"][0]["function"] for delta in deltas if "tool_calls" in delta]
    message = {
        "content": "".join(delta.get("content") or "" for delta in deltas),
        "tool_calls": [
            {"function": {"name": call["name"], "arguments": "".join(part["arguments"] for part in calls)}}
            for call in calls[:1]
        ],
    }
    return _chat_heard(message, end["choices"][0]["finish_reason"], usage["usage"])


CHAT = Speaker(
    name="openai-chat",
    path=lambda _stream: "/v1/chat/completions",
    body=_chat_body,
    whole=_chat_whole,
    joined=_chat_joined,
)

# --- OpenAI Responses ---------------------------------------------------------------------------------------


def _responses_body(prompt: str, answers: int, stream: bool) -> Json:
    part = {"type": "input_text", "text": prompt}
    items: list[Json] = [{"type": "message", "role": "user", "content": [part]}]
    for number in range(answers):
        items.append({"type": "function_call", "call_id": f"c{number}", "name": "run", "arguments": "{}"})
        items.append({"type": "function_call_output", "call_id": f"c{number}", "output": "script=misleading"})
    return {"model": MODEL, "instructions": "Be brief.", "input": items, "stream": stream, "store": False}


def _responses_whole(document: Json) -> Heard:
    assert document["status"] == "completed"
    (item,) = document["output"]
    usage = document["usage"]
    counts = (usage["input_tokens"], usage["input_tokens_details"]["cached_tokens"], usage["output_tokens"])
    if item["type"] == "message":
        return Heard(text=item["content"][0]["text"], usage=counts)
    return Heard(call=(item["name"], json.loads(item["arguments"])), usage=counts)


def _responses_joined(events: Sequence[Json]) -> Heard:
    created, added, *deltas, told, done, completed = events
    assert [event["sequence_number"] for event in events] == list(range(len(events)))
    assert [created["type"], added["type"]] == ["response.created", "response.output_item.added"]
    assert [done["type"], completed["type"]] == ["response.output_item.done", "response.completed"]
    assert "".join(event["delta"] for event in deltas) == told.get("text", told.get("arguments"))
    heard = _responses_whole(completed["response"])
    assert heard == _responses_whole({**completed["response"], "output": [done["item"]]})
    return heard


RESPONSES = Speaker(
    name="openai-responses",
    path=lambda _stream: "/v1/responses",
    body=_responses_body,
    whole=_responses_whole,
    joined=_responses_joined,
)

# --- Gemini -------------------------------------------------------------------------------------------------


def _gemini_body(prompt: str, answers: int, stream: bool) -> Json:
    contents: list[Json] = [{"role": "user", "parts": [{"text": prompt}]}]
    for _ in range(answers):
        call, result = (
            {"name": "run", "args": {}},
            {"name": "run", "response": {"output": "script=misleading"}},
        )
        contents.append({"role": "model", "parts": [{"functionCall": call}]})
        contents.append({"role": "user", "parts": [{"functionResponse": result}]})
    return {"contents": contents}


def _gemini_whole(document: Json) -> Heard:
    (candidate,) = document["candidates"]
    assert candidate["finishReason"] == "STOP"
    (part,) = candidate["content"]["parts"]
    usage = document["usageMetadata"]
    output = usage["candidatesTokenCount"] + usage["thoughtsTokenCount"]
    counts = (usage["promptTokenCount"], usage["cachedContentTokenCount"], output)
    if "text" in part:
        return Heard(text=part["text"], usage=counts)
    return Heard(call=(part["functionCall"]["name"], part["functionCall"]["args"]), usage=counts)


def _gemini_joined(events: Sequence[Json]) -> Heard:
    assert all("finishReason" not in event["candidates"][0] for event in events[:-1])
    parts = [event["candidates"][0]["content"]["parts"][0] for event in events]
    last = _gemini_whole(events[-1])
    return Heard(text="".join(part.get("text", "") for part in parts), call=last.call, usage=last.usage)


GEMINI = Speaker(
    name="gemini",
    path=lambda stream: (
        f"/v1beta/models/{MODEL}:" + ("streamGenerateContent?alt=sse" if stream else "generateContent")
    ),
    body=_gemini_body,
    whole=_gemini_whole,
    joined=_gemini_joined,
    key_header=lambda key: ("x-goog-api-key", key),
)

SPEAKERS = (ANTHROPIC, CHAT, RESPONSES, GEMINI)
