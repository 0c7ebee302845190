"""A headless Chromium that opens files from disk, for tests of pages; spoken to over a pipe, without any driver."""

import json
import os
import shutil
import subprocess
import time
from contextlib import contextmanager

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
MISSING = "there is no Chromium on the path"


class Browser:
    """One page of the browser. `wait` and `run` take JavaScript."""

    def __init__(self, to, back):
        self.to, self.back, self.number, self.requested = to, back, 0, []
        (page,) = [t for t in self("Target.getTargets")["targetInfos"] if t["type"] == "page"]
        self.session = None
        self.session = self("Target.attachToTarget", targetId=page["targetId"], flatten=True)["sessionId"]
        for domain in ("Page", "Network", "Runtime"):
            self(f"{domain}.enable")

    def __call__(self, method, **params):
        self.number += 1
        told = {"id": self.number, "method": method, "params": params}
        if getattr(self, "session", None):
            told["sessionId"] = self.session
        self.to.write(json.dumps(told).encode() + b"\0")
        while True:
            message = json.loads(self._read())
            if message.get("method") == "Network.requestWillBeSent":
                self.requested.append(message["params"]["request"]["url"])
            if message.get("id") == self.number:
                assert "error" not in message, message
                return message["result"]

    def _read(self):
        read = bytearray()
        while (byte := self.back.read(1)) != b"\0":
            assert byte, "the browser ended"
            read += byte
        return bytes(read)

    def open(self, url, width=1400, height=1000):
        self("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)
        self("Page.navigate", url="about:blank")
        self("Page.navigate", url=url)

    def run(self, code):
        told = self("Runtime.evaluate", expression=code, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in told, told
        return told["result"].get("value")

    def wait(self, code, seconds=20):
        """The first truthy value of an expression."""
        end = time.monotonic() + seconds
        while not (value := self.run(f"document.body && ({code})")):
            assert time.monotonic() < end, f"never: {code}; the page says {self.run('document.body.innerText')[:500]}"
            time.sleep(0.05)
        return value

    def click(self, element, until):
        """Clicks until something comes of it: what is there before its program listens takes no notice."""
        for _ in range(4):
            self.run(f"({element}).click()")
            try:
                return self.wait(until, seconds=5)
            except AssertionError as never:
                last = never
        raise last


@contextmanager
def browser(folder):
    """Runs a Chromium that reaches no network, with its profile in `folder`."""
    (theirs_in, ours_out), (ours_in, theirs_out) = os.pipe(), os.pipe()

    def wire():  # Chromium reads from 3 and writes to 4
        kept = os.dup(theirs_in), os.dup(theirs_out)
        os.dup2(kept[0], 3)
        os.dup2(kept[1], 4)

    offline = ["--host-resolver-rules=MAP * ~NOTFOUND", "--no-first-run", f"--user-data-dir={folder}"]
    plain = ["--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--remote-debugging-pipe"]
    running = subprocess.Popen(
        [CHROMIUM, *plain, *offline, "about:blank"],
        preexec_fn=wire, close_fds=False, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    os.close(theirs_in)
    os.close(theirs_out)
    try:
        with open(ours_out, "wb", buffering=0) as to, open(ours_in, "rb") as back:
            yield Browser(to, back)
    finally:
        running.kill()
        running.wait()
