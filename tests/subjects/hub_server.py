"""A Hugging Face hub of one model or data set, which fails as it is told to."""

import hashlib
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

COMMIT = "0123456789abcdef0123456789abcdef01234567"


class Hub(ThreadingHTTPServer):
    """Serves the files of a folder as the model `name`, or as the data set where `kind` is "datasets".

    `faults` are the answers (status, headers) to the first requests for it, `always` that to all others, None a good
    one. `seen` are the requests that came: (method, path, authorization).
    """

    daemon_threads = True

    def __init__(self, name: str, folder: Path, faults=(), always=None, kind="models"):
        super().__init__(("127.0.0.1", 0), _Handler)
        self.name, self.faults, self.always, self.seen = name, list(faults), always, []
        self.api, self.home = f"/api/{kind}/{name}", f"/{name}" if kind == "models" else f"/{kind}/{name}"
        self.files = {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}
        threading.Thread(target=self.serve_forever, args=(0.02,), daemon=True).start()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_port}"


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Hub

    def do_GET(self):
        hub, path = self.server, self.path.partition("?")[0]
        hub.seen.append((self.command, path, self.headers.get("authorization")))
        ours = hub.name in path
        fault = None if not ours else hub.faults.pop(0) if hub.faults else hub.always
        if fault is not None:
            return self.send(fault[0], b"no", fault[1])
        if path.startswith(f"{hub.api}/tree/"):
            return self.json([self.entry(name) for name in hub.files])
        if path.startswith(hub.api):
            siblings = [{"rfilename": name} for name in hub.files]
            return self.json({"id": hub.name, "sha": COMMIT, "siblings": siblings})
        name = path.rpartition("/")[2]
        if path.startswith(f"{hub.home}/resolve/") and name in hub.files:
            return self.send(200, hub.files[name], {"ETag": f'"{self.oid(name)}"'})
        return self.send(404, b"", {"X-Error-Code": "EntryNotFound" if ours else "RepoNotFound"})

    do_HEAD = do_GET

    def oid(self, name):
        return hashlib.sha1(self.server.files[name]).hexdigest()

    def entry(self, name):
        return {"type": "file", "path": name, "oid": self.oid(name), "size": len(self.server.files[name])}

    def json(self, value):
        self.send(200, json.dumps(value).encode(), {"Content-Type": "application/json"})

    def send(self, status, body, headers):
        self.send_response(status)
        for key, value in {"X-Repo-Commit": COMMIT, "Content-Length": str(len(body)), **headers}.items():
            self.send_header(key, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, *_):
        pass
