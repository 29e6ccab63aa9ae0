"""The HTTP server around the stage: every dialect on one port of the loopback interface."""

import json
import select
import socket
import sys
import threading
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Final, Self
from urllib.parse import parse_qs, urlsplit

from tests.fakes.model_server.anthropic_messages import AnthropicMessages
from tests.fakes.model_server.exchange import Dialect, Exchange, Json, Question
from tests.fakes.model_server.gemini import Gemini
from tests.fakes.model_server.openai_chat import OpenAiChat
from tests.fakes.model_server.openai_responses import OpenAiResponses
from tests.fakes.model_server.script import Cut, Refuse, Script, Silence, Tokens
from tests.fakes.model_server.stage import Move, Stage

DIALECTS: Final[tuple[Dialect, ...]] = (AnthropicMessages(), OpenAiChat(), OpenAiResponses(), Gemini())

KEY: Final = "sk-scripted"
"""The only key that is taken."""


class ModelServer:
    """Serves scripts on 127.0.0.1 until it is closed. A context manager.

    A prompt chooses its script by the words `script=NAME`.
    """

    def __init__(self, scripts: Mapping[str, Script], *, port: int = 0) -> None:
        self.stage = Stage(scripts)
        self._http = _Http(self.stage, port)
        serve = partial(self._http.serve_forever, poll_interval=0.02)  # bounds what `close` takes
        self._thread = threading.Thread(target=serve, name="model-server", daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        """`http://127.0.0.1:PORT`, without a slash at the end."""
        return f"http://127.0.0.1:{self._http.server_port}"

    def close(self) -> None:
        """Break every connection, end every thread, free the port."""
        self._http.shutdown()
        self._thread.join()
        self.stage.close()
        self._http.break_connections()
        self._http.server_close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class _Http(ThreadingHTTPServer):
    daemon_threads = False  # `server_close` waits for the thread of every connection
    request_queue_size = 32

    def __init__(self, stage: Stage, port: int) -> None:
        self.stage = stage
        self._connections: set[socket.socket] = set()
        super().__init__(("127.0.0.1", port), _Handler)

    def process_request(self, request: Any, client_address: Any) -> None:
        self._connections.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        self._connections.discard(request)
        super().shutdown_request(request)

    def break_connections(self) -> None:
        for connection in self._connections.copy():
            with suppress(OSError):  # its thread was quicker
                connection.shutdown(socket.SHUT_RDWR)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that is killed in the middle of a request is what this server is for."""
        if not isinstance(sys.exception(), OSError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Http

    def do_GET(self) -> None:
        """Lists of models are empty: the CLIs then take the model that they were told."""
        self._send(200, {"object": "list", "data": [], "models": []})

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers.get("Content-Length") or 0)) or b"{}")
        path = urlsplit(self.path).path
        for dialect in DIALECTS:
            question = dialect.question(path, body)
            if question is not None:
                self._answer(dialect, question)
                return
        if path.endswith("count_tokens"):
            self._send(200, {"input_tokens": 1})
            return
        self._send(404, {"error": {"message": f"no API has the path {path}"}})

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the name is the base class's
        """The stage keeps the record."""

    def _answer(self, dialect: Dialect, question: Question) -> None:
        began, status, whole, tokens = time.monotonic(), None, False, Tokens()
        self.server.stage.arrive(question)
        try:
            move = self.server.stage.move(question) if self._key() == KEY else None
            status, whole = self._play(dialect, question, move)
            tokens = move.answer.tokens if move is not None and whole else Tokens()
        except OSError:  # the client left, or was killed
            self.close_connection = True
        finally:
            self.server.stage.record(
                Exchange(
                    script=question.script,
                    dialect=dialect.name,
                    model=question.model,
                    status=status,
                    whole=whole,
                    tokens=tokens,
                    began=began,
                )
            )

    def _play(self, dialect: Dialect, question: Question, move: Move | None) -> tuple[int | None, bool]:
        """Reply; returns the status that was sent and whether the answer went out whole."""
        if move is None:
            self._send(401, dialect.refusal(401, "invalid x-api-key: the script takes another"))
            return 401, False
        if isinstance(move.fault, Refuse):
            self._send(move.fault.status, dialect.refusal(move.fault.status, move.fault.message))
            return move.fault.status, False
        if isinstance(move.fault, Silence) and move.fault.after is None:
            self._stay_silent()
            return None, False
        if question.stream:
            self._stream(dialect.events(move.answer, question), move.fault)
        elif move.fault is None:
            self._send(200, dialect.document(move.answer, question))
        else:
            self._send_half(dialect.document(move.answer, question), move.fault)
        return 200, move.fault is None

    def _key(self) -> str | None:
        given = self.headers.get("Authorization", "").removeprefix("Bearer ")
        in_query = parse_qs(urlsplit(self.path).query).get("key", [None])[0]
        return self.headers.get("x-api-key") or self.headers.get("x-goog-api-key") or given or in_query

    def _send(self, status: int, document: Json) -> None:
        data = json.dumps(document).encode()
        self._head(status, "application/json", ("Content-Length", str(len(data))))
        self.wfile.write(data)

    def _send_half(self, document: Json, fault: Cut | Silence) -> None:
        data = json.dumps(document).encode()
        self._head(200, "application/json", ("Content-Length", str(len(data))))
        self.wfile.write(data[: len(data) // 2])
        self._break(fault)

    def _stream(self, events: Iterable[bytes], fault: Cut | Silence | None) -> None:
        self._head(200, "text/event-stream", ("Transfer-Encoding", "chunked"))
        for sent, event in enumerate(events):
            if fault is not None and sent == fault.after:
                self._break(fault)
                return
            self.wfile.write(b"%x\r\n%b\r\n" % (len(event), event))
        if fault is not None:  # all events are out, the end of the reply is not
            self._break(fault)
            return
        self.wfile.write(b"0\r\n\r\n")

    def _head(self, status: int, kind: str, length: tuple[str, str]) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header(*length)
        self.end_headers()

    def _break(self, fault: Cut | Silence) -> None:
        self.wfile.flush()
        if isinstance(fault, Silence):
            self._stay_silent()
            return
        self.close_connection = True
        self.connection.shutdown(socket.SHUT_RDWR)

    def _stay_silent(self) -> None:
        self.close_connection = True
        # Readable: the client has left, or the server broke the connection because it ends.
        select.select([self.connection], [], [])
