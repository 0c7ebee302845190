"""A server that speaks as much of OpenAI's API as `lab.subjects.api` uses, and fails as it is told to."""

import json
import math
import threading
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

NOW = {"retry-after-ms": "5"}
"""A header that makes the client repeat a failed request at once."""


@dataclass(frozen=True)
class Answer:
    """What to send: a status, a body (a dict is written as JSON), headers; `drop` cuts the connection instead."""

    body: object
    status: int = 200
    headers: dict = field(default_factory=dict)
    after: float = 0.0
    drop: bool = False


DROP = Answer(None, drop=True)


def completion(text, *, finish="stop", top=None, tokens=(5, 1)):
    """A chat completion; `top` is a dict of first tokens and their probabilities."""
    choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": finish}
    if top is not None:
        likeliest = [{"token": token, "logprob": math.log(p), "bytes": None} for token, p in top.items()]
        choice["logprobs"] = {"content": [{**likeliest[0], "top_logprobs": likeliest}]}
    usage = {"prompt_tokens": tokens[0], "completion_tokens": tokens[1], "total_tokens": sum(tokens)}
    return Answer({"id": "1", "object": "chat.completion", "created": 1, "choices": [choice], "usage": usage})


def error(status, message, *, param=None, code=None, **headers):
    body = {"error": {"message": message, "type": "invalid_request_error", "param": param, "code": code}}
    return Answer(body, status, {**NOW, **headers})


class Server(ThreadingHTTPServer):
    """Answers each request with `script(i, request)`, where i counts from 0. `{key}` in a body is the key it was sent.

    `requests` are the bodies received, `peak` is the most that were open at once.
    """

    daemon_threads = True
    request_queue_size = 64

    def __init__(self, script):
        super().__init__(("127.0.0.1", 0), _Handler)
        self.script, self.requests, self.keys = script, [], []
        self.open = self.peak = 0
        self.lock = threading.Lock()
        threading.Thread(target=self.serve_forever, args=(0.02,), daemon=True).start()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_port}/v1"

    def handle_error(self, request, client_address):
        """A client that went away is part of the tests."""

    def stop(self):
        self.shutdown()
        self.server_close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # head and body in one packet

    def do_POST(self):
        server = self.server
        request = json.loads(self.rfile.read(int(self.headers["content-length"])))
        key = self.headers["authorization"].removeprefix("Bearer ")
        with server.lock:
            i = len(server.requests)
            server.requests.append(request)
            server.keys.append(key)
            server.open += 1
            server.peak = max(server.peak, server.open)
        answer = server.script(i, request)
        time.sleep(answer.after)
        with server.lock:
            server.open -= 1
        if answer.drop:
            self.close_connection = True
            return
        raw = answer.body if isinstance(answer.body, str) else json.dumps(answer.body)
        raw = raw.replace("{key}", key).encode()
        self.send_response(answer.status)
        for name, value in {"content-type": "application/json", **answer.headers}.items():
            self.send_header(name, value)
        self.send_header("content-length", str(len(raw)))
        self.end_headers()
        self.wfile.write(raw)

    def log_message(self, *args):
        """Quiet."""
