"""The OpenAI Chat Completions API, as aider speaks it."""

import json
from collections.abc import Iterator
from typing import Final

from tests.fakes.model_server.exchange import Json, Question, Said, pieces, place_in, sse, text_of
from tests.fakes.model_server.script import Answer, Call, Say, Tokens

_PATHS: Final = ("/v1/chat/completions", "/chat/completions")
_CREATED: Final = 1_700_000_000


class OpenAiChat:
    """`POST /v1/chat/completions`."""

    name = "openai-chat"

    def question(self, path: str, body: Json) -> Question | None:
        """Answers are the messages of the assistant."""
        if path not in _PATHS:
            return None
        script, answered = place_in(
            Said(by_model=message["role"] == "assistant", text=_prompt(message))
            for message in body["messages"]
        )
        return Question(
            script=script, answered=answered, model=body["model"], stream=bool(body.get("stream"))
        )

    def document(self, answer: Answer, question: Question) -> Json:
        """A `chat.completion` with one choice."""
        said: Json = {"content": answer.text} if isinstance(answer, Say) else {"content": None}
        calls: Json = {"tool_calls": [_call(answer, question)]} if isinstance(answer, Call) else {}
        message = {"role": "assistant", **said, **calls}
        choice = {"index": 0, "message": message, "finish_reason": _finish_reason(answer)}
        return {**_head(question, "chat.completion"), "choices": [choice], "usage": _usage(answer.tokens)}

    def events(self, answer: Answer, question: Question) -> Iterator[bytes]:
        """Chunks; the last but the end mark has the usage and no choice."""
        yield _chunk(question, {"role": "assistant", "content": None})
        for delta in _deltas(answer, question):
            yield _chunk(question, delta)
        yield _chunk(question, {}, _finish_reason(answer))
        head = _head(question, "chat.completion.chunk")
        yield sse({**head, "choices": [], "usage": _usage(answer.tokens)})
        yield b"data: [DONE]\n\n"

    def refusal(self, status: int, message: str) -> Json:
        """An `error` object."""
        return openai_error(status, message)


def openai_error(status: int, message: str) -> Json:
    """The body of an error in both APIs of this vendor."""
    kinds = {401: "authentication_error", 429: "rate_limit_error"}
    kind = kinds.get(status, "invalid_request_error" if status < 500 else "server_error")
    code = {401: "invalid_api_key", 429: "rate_limit_exceeded"}.get(status)
    return {"error": {"message": message, "type": kind, "param": None, "code": code}}


def _prompt(message: Json) -> str:
    return text_of(message["content"], "text") if message["role"] == "user" else ""


def _head(question: Question, kind: str) -> Json:
    return {
        "id": f"chatcmpl-{question.script}-{question.answered}",
        "object": kind,
        "created": _CREATED,
        "model": question.model,
    }


def _chunk(question: Question, delta: Json, finish_reason: str | None = None) -> bytes:
    choice = {"index": 0, "delta": delta, "finish_reason": finish_reason}
    return sse({**_head(question, "chat.completion.chunk"), "choices": [choice]})


def _call(answer: Call, question: Question) -> Json:
    function = {"name": answer.tool, "arguments": json.dumps(answer.arguments)}
    return {"id": f"call_{question.script}_{question.answered}", "type": "function", "function": function}


def _deltas(answer: Answer, question: Question) -> Iterator[Json]:
    if isinstance(answer, Say):
        yield from ({"content": piece} for piece in pieces(answer.text))
        return
    call = _call(answer, question)
    arguments = pieces(json.dumps(answer.arguments))
    first = {**call, "index": 0, "function": {"name": answer.tool, "arguments": arguments[0]}}
    yield {"tool_calls": [first]}
    for piece in arguments[1:]:
        yield {"tool_calls": [{"index": 0, "function": {"arguments": piece}}]}


def _finish_reason(answer: Answer) -> str:
    return "stop" if isinstance(answer, Say) else "tool_calls"


def _usage(tokens: Tokens) -> Json:
    return {
        "prompt_tokens": tokens.input,
        "completion_tokens": tokens.output,
        "total_tokens": tokens.input + tokens.output,
        "prompt_tokens_details": {"cached_tokens": tokens.cached},
        "completion_tokens_details": {"reasoning_tokens": tokens.reasoning},
    }
