"""The OpenAI Responses API, as codex speaks it."""

import itertools
import json
from collections.abc import Iterator, Mapping
from typing import Final

from tests.fakes.model_server.exchange import Json, Question, Said, pieces, place_in, sse, text_of
from tests.fakes.model_server.openai_chat import openai_error
from tests.fakes.model_server.script import Answer, Say, Tokens

_PATHS: Final = ("/v1/responses", "/responses")
_ANSWERS: Final = frozenset({"function_call", "custom_tool_call"})
_CREATED: Final = 1_700_000_000


class OpenAiResponses:
    """`POST /v1/responses`. A conversation comes whole with every request; none is stored here."""

    name = "openai-responses"

    def question(self, path: str, body: Json) -> Question | None:
        """Answers are calls and the messages of the assistant."""
        if path not in _PATHS:
            return None
        given = body["input"]
        items = [{"role": "user", "content": given}] if isinstance(given, str) else given
        script, answered = place_in(map(_said, items))
        return Question(
            script=script, answered=answered, model=body["model"], stream=bool(body.get("stream"))
        )

    def document(self, answer: Answer, question: Question) -> Json:
        """A completed `response` with one item."""
        return {**_response(question, "completed", answer.tokens), "output": [_item(answer, question)]}

    def events(self, answer: Answer, question: Question) -> Iterator[bytes]:
        """From `response.created` to `response.completed`, with one item."""
        count = itertools.count()
        item = _item(answer, question)
        yield _event(count, "response.created", response=_response(question, "in_progress", None))
        begun = {**item, "status": "in_progress", **({"content": []} if isinstance(answer, Say) else {})}
        yield _event(count, "response.output_item.added", output_index=0, item=begun)
        for name, data in _deltas(answer, item):
            yield _event(count, name, item_id=item["id"], output_index=0, **data)
        yield _event(count, "response.output_item.done", output_index=0, item=item)
        yield _event(count, "response.completed", response=self.document(answer, question))

    def refusal(self, status: int, message: str) -> Json:
        """An `error` object."""
        return openai_error(status, message)


def _said(item: Json) -> Said:
    by_model = item.get("type") in _ANSWERS or item.get("role") == "assistant"
    is_prompt = item.get("role") == "user"
    return Said(by_model=by_model, text=text_of(item.get("content"), "input_text") if is_prompt else "")


def _event(count: Iterator[int], name: str, **data: object) -> bytes:
    return sse({"type": name, "sequence_number": next(count), **data}, name)


def _response(question: Question, status: str, tokens: Tokens | None) -> Json:
    return {
        "id": f"resp_{question.script}_{question.answered}",
        "object": "response",
        "created_at": _CREATED,
        "status": status,
        "model": question.model,
        "output": [],
        "error": None,
        "usage": None if tokens is None else _usage(tokens),
    }


def _item(answer: Answer, question: Question) -> Json:
    name = f"{question.script}_{question.answered}"
    if isinstance(answer, Say):
        part = {"type": "output_text", "text": answer.text, "annotations": []}
        return {
            "type": "message",
            "id": f"msg_{name}",
            "status": "completed",
            "role": "assistant",
            "content": [part],
        }
    return {
        "type": "function_call",
        "id": f"fc_{name}",
        "call_id": f"call_{name}",
        "status": "completed",
        "name": answer.tool,
        "arguments": json.dumps(answer.arguments),
    }


def _deltas(answer: Answer, item: Json) -> Iterator[tuple[str, Mapping[str, object]]]:
    if isinstance(answer, Say):
        for piece in pieces(answer.text):
            yield "response.output_text.delta", {"content_index": 0, "delta": piece}
        yield "response.output_text.done", {"content_index": 0, "text": answer.text}
        return
    for piece in pieces(item["arguments"]):
        yield "response.function_call_arguments.delta", {"delta": piece}
    yield "response.function_call_arguments.done", {"arguments": item["arguments"]}


def _usage(tokens: Tokens) -> Json:
    return {
        "input_tokens": tokens.input,
        "input_tokens_details": {"cached_tokens": tokens.cached},
        "output_tokens": tokens.output,
        "output_tokens_details": {"reasoning_tokens": tokens.reasoning},
        "total_tokens": tokens.input + tokens.output,
    }
