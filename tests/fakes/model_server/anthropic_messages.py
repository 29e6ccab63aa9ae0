"""The Anthropic Messages API, as claude speaks it."""

import json
from collections.abc import Iterator, Mapping
from typing import Final

from tests.fakes.model_server.exchange import Json, Question, Said, pieces, place_in, sse, text_of
from tests.fakes.model_server.script import Answer, Say, Tokens

_ERROR_TYPES: Final[Mapping[int, str]] = {
    400: "invalid_request_error",
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    504: "timeout_error",
    529: "overloaded_error",
}


class AnthropicMessages:
    """`POST /v1/messages`."""

    name = "anthropic"

    def question(self, path: str, body: Json) -> Question | None:
        """Answers are the messages of the assistant; tool results are no prompts."""
        if path != "/v1/messages":
            return None
        script, answered = place_in(
            Said(by_model=message["role"] == "assistant", text=text_of(message["content"], "text"))
            for message in body["messages"]
        )
        return Question(
            script=script, answered=answered, model=body["model"], stream=bool(body.get("stream"))
        )

    def document(self, answer: Answer, question: Question) -> Json:
        """A `message`."""
        return {
            **_empty_message(question),
            "content": [_block(answer, question, filled=True)],
            "stop_reason": _stop_reason(answer),
            "usage": {**_input(answer.tokens), "output_tokens": answer.tokens.output},
        }

    def events(self, answer: Answer, question: Question) -> Iterator[bytes]:
        """From `message_start` to `message_stop`, with one content block."""
        start = {**_empty_message(question), "usage": {**_input(answer.tokens), "output_tokens": 1}}
        yield _event("message_start", message=start)
        yield _event("content_block_start", index=0, content_block=_block(answer, question, filled=False))
        for delta in _deltas(answer):
            yield _event("content_block_delta", index=0, delta=delta)
        yield _event("content_block_stop", index=0)
        end = {"stop_reason": _stop_reason(answer), "stop_sequence": None}
        yield _event("message_delta", delta=end, usage={"output_tokens": answer.tokens.output})
        yield _event("message_stop")

    def refusal(self, status: int, message: str) -> Json:
        """An `error` with the type that belongs to the status."""
        return {
            "type": "error",
            "error": {"type": _ERROR_TYPES.get(status, "api_error"), "message": message},
            "request_id": "req_scripted",
        }


def _event(event: str, **data: object) -> bytes:
    return sse({"type": event, **data}, event)


def _empty_message(question: Question) -> Json:
    return {
        "id": f"msg_{question.script}_{question.answered}",
        "type": "message",
        "role": "assistant",
        "model": question.model,
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
    }


def _block(answer: Answer, question: Question, *, filled: bool) -> Json:
    if isinstance(answer, Say):
        return {"type": "text", "text": answer.text if filled else ""}
    use_id = f"toolu_{question.script}_{question.answered}"
    arguments = dict(answer.arguments) if filled else {}
    return {"type": "tool_use", "id": use_id, "name": answer.tool, "input": arguments}


def _deltas(answer: Answer) -> Iterator[Json]:
    if isinstance(answer, Say):
        yield from ({"type": "text_delta", "text": piece} for piece in pieces(answer.text))
        return
    arguments = json.dumps(answer.arguments)
    yield from ({"type": "input_json_delta", "partial_json": piece} for piece in pieces(arguments))


def _stop_reason(answer: Answer) -> str:
    return "end_turn" if isinstance(answer, Say) else "tool_use"


def _input(tokens: Tokens) -> Json:
    # Here `input_tokens` are those that no cache had.
    return {
        "input_tokens": tokens.input - tokens.cached,
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": tokens.cached,
    }
