"""A real terminal for a command, and what a user would see on it: as much of a VT100 as pytest and our line use."""

import fcntl
import os
import pty
import re
import struct
import subprocess
import termios

TOKENS = re.compile(r"\x1b\[[0-9;]*[A-Za-z]|\x1b[DM78]|[^\x1b\r\n]|[\r\n]")


class Screen:
    """`lines` are all that was ever shown, what has scrolled out at the top included."""

    def __init__(self, rows, columns):
        self.rows, self.columns, self.lines = rows, columns, [""]
        self.row = self.column = 0
        self.saved = (0, 0)

    @property
    def top(self):
        return max(0, len(self.lines) - self.rows)

    def down(self, *, scrolls):
        if scrolls or self.row - self.top < self.rows - 1:
            self.row += 1
        while len(self.lines) <= self.row:
            self.lines.append("")

    def feed(self, text):
        for token in TOKENS.findall(text):
            self.take(token)
        return self

    def take(self, token):
        if token == "\r":
            self.column = 0
        elif token in ("\n", "\x1bD"):
            self.down(scrolls=True)
        elif token == "\x1bM":
            assert self.row > self.top, "the line above is never scrolled down"
            self.row -= 1
        elif token == "\x1b7":
            self.saved = self.row, self.column
        elif token == "\x1b8":
            self.row, self.column = self.saved
        elif token == "\x1b[1E":
            self.down(scrolls=False)
            self.column = 0
        elif token == "\x1b[2K":
            self.lines[self.row] = ""
        elif token.startswith("\x1b["):
            assert token[-1] == "m", f"unknown to this terminal: {token!r}"
        else:
            if self.column == self.columns:
                self.down(scrolls=True)
                self.column = 0
            line = self.lines[self.row].ljust(self.column)
            self.lines[self.row] = line[: self.column] + token + line[self.column + 1 :]
            self.column += 1

    def text(self):
        return "\n".join(line.rstrip() for line in self.lines).rstrip()


def run(command, *, folder, rows, columns, **environment):
    """Runs a command in a terminal of that size; returns all that came out, and its exit status."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
    everything = {**os.environ, "TERM": "xterm", **environment}
    for name in ("CI", "BUILD_NUMBER", "COLUMNS", "LINES", "PY_COLORS", "NO_COLOR", "FORCE_COLOR"):
        if name not in environment:
            everything.pop(name, None)
    process = subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs, env=everything, cwd=folder)
    os.close(theirs)
    pieces = []
    while True:
        try:
            piece = os.read(ours, 65536)
        except OSError:  # Linux's way to say that the other end is closed
            break
        if not piece:
            break
        pieces.append(piece)
    os.close(ours)
    return b"".join(pieces).decode(), process.wait()
