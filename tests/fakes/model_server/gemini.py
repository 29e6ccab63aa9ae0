"""The Gemini API, as gemini speaks it."""

import re
from collections.abc import Iterator, Mapping
from typing import Final

from tests.fakes.model_server.exchange import Json, Question, Said, pieces, place_in, sse
from tests.fakes.model_server.script import Answer, Say, Tokens

_PATH: Final = re.compile(r"/v1(?:beta)?/models/([^/:]+):(generateContent|streamGenerateContent)")
_STATUS_NAMES: Final[Mapping[int, str]] = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    429: "RESOURCE_EXHAUSTED",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
}


class Gemini:
    """`POST /v1beta/models/MODEL:generateContent`, and `:streamGenerateContent` as server-sent events."""

    name = "gemini"

    def question(self, path: str, body: Json) -> Question | None:
        """Answers are the contents of the model."""
        match = _PATH.fullmatch(path)
        if match is None:
            return None
        script, answered = place_in(
            Said(by_model=content.get("role") == "model", text=_text(content)) for content in body["contents"]
        )
        stream = match[2] == "streamGenerateContent"
        return Question(script=script, answered=answered, model=match[1], stream=stream)

    def document(self, answer: Answer, question: Question) -> Json:
        """A response with one candidate."""
        part = {"text": answer.text} if isinstance(answer, Say) else _call(answer.tool, answer.arguments)
        return _response(question, part, answer.tokens)

    def events(self, answer: Answer, question: Question) -> Iterator[bytes]:
        """Responses of a piece each; the last ends the answer and has the usage."""
        if isinstance(answer, Say):
            *first, last = pieces(answer.text)
            yield from (sse(_response(question, {"text": piece}, None)) for piece in first)
            yield sse(_response(question, {"text": last}, answer.tokens))
        else:
            # A call is never parted here; an empty piece before it makes streams that can be cut.
            yield sse(_response(question, {"text": ""}, None))
            yield sse(self.document(answer, question))

    def refusal(self, status: int, message: str) -> Json:
        """An `error` with the name of its status."""
        name = _STATUS_NAMES.get(status, "INTERNAL")
        return {"error": {"code": status, "message": message, "status": name}}


def _text(content: Json) -> str:
    if content.get("role") == "model":
        return ""
    return "\n".join(str(part.get("text", "")) for part in content["parts"])


def _call(tool: str, arguments: Mapping[str, object]) -> Json:
    return {"functionCall": {"name": tool, "args": dict(arguments)}}


def _response(question: Question, part: Json, tokens: Tokens | None) -> Json:
    end: Json = {} if tokens is None else {"finishReason": "STOP"}
    usage: Json = {} if tokens is None else {"usageMetadata": _usage(tokens)}
    return {
        "candidates": [{"content": {"role": "model", "parts": [part]}, "index": 0, **end}],
        "modelVersion": question.model,
        "responseId": f"{question.script}-{question.answered}",
        **usage,
    }


def _usage(tokens: Tokens) -> Json:
    return {
        "promptTokenCount": tokens.input,
        "cachedContentTokenCount": tokens.cached,
        "candidatesTokenCount": tokens.output - tokens.reasoning,
        "thoughtsTokenCount": tokens.reasoning,
        "totalTokenCount": tokens.input + tokens.output,
    }
