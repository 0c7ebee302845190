"""The todos of a plan, kept in the front matter of a Markdown file: shows them, or runs one in its turn."""

from __future__ import annotations

import argparse
import shlex
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from lab.files.whole import write_whole
from lab.studies.plan003.steps import PlanError

PENDING, BEGUN, DONE = "pending", "in_progress", "completed"
STATUSES = (PENDING, BEGUN, DONE, "cancelled")
_MARK = "---\n"


@dataclass(frozen=True)
class Todo:
    """One thing to do: `dependencies` are the ids of what has to be completed first, `run` is the command that does it.

    Without a command it is done by hand, and `--status` says so.
    """

    id: str
    content: str
    status: str = PENDING
    dependencies: tuple[str, ...] = ()
    run: str = ""

    @property
    def told(self) -> dict[str, Any]:
        """As it stands in the file."""
        found: dict[str, Any] = {"id": self.id, "content": self.content, "status": self.status}
        found |= {"run": self.run} if self.run else {}
        return found | ({"dependencies": list(self.dependencies)} if self.dependencies else {})


@dataclass(frozen=True)
class Todos:
    """A plan: its name, an overview, what is to be done in which order, and the text below it."""

    name: str
    overview: str
    todos: tuple[Todo, ...]
    text: str = ""

    def started(self, id: str, status: str = BEGUN) -> Todos:
        """With this todo under way, or in another status; what depends on it is then to be done anew.

        Raises PlanError for one that is not there, and where what it depends on is not completed.
        """
        todo = next((one for one in self.todos if one.id == id), None)
        if todo is None:
            raise PlanError(f"there is no todo {id!r}; there are {', '.join(one.id for one in self.todos)}")
        waits = self.waits_for(todo)
        if status in (BEGUN, DONE) and waits:
            raise PlanError(f"{id} cannot be {status}: {', '.join(waits)} must be {DONE} first")
        statuses = {one.id: one.status for one in self.todos} | {id: status}
        stale = [id] if status != DONE else []
        while stale:
            before = stale.pop()
            for one in self.todos:
                if before in one.dependencies and statuses[one.id] in (BEGUN, DONE):
                    statuses[one.id] = PENDING
                    stale.append(one.id)
        return replace(self, todos=tuple(replace(one, status=statuses[one.id]) for one in self.todos))

    def waits_for(self, todo: Todo) -> list[str]:
        """Ids of what it depends on and what is not completed."""
        return [one.id for one in self.todos if one.id in todo.dependencies and one.status != DONE]


def read(path: Path) -> Todos:
    """The plan of a file. Raises PlanError, one line, for a file that is none or whose todos contradict one another."""
    import yaml

    try:
        whole = path.read_text(encoding="utf-8")
    except OSError as error:
        raise PlanError(
            f"{path}: {error.strerror}; name a Markdown file that begins with a plan's front matter"
        ) from None
    front, mark, text = whole.removeprefix(_MARK).partition(f"\n{_MARK}")
    if not whole.startswith(_MARK) or not mark:
        raise PlanError(f"{path} has no front matter; begin it with a line of ---, name, overview and todos, and ---")
    try:
        told = yaml.safe_load(front)
    except yaml.YAMLError as error:
        raise PlanError(f"{path}: its front matter is no YAML: {' '.join(str(error).split())}") from None
    if not isinstance(told, dict) or not {"name", "overview", "todos"} <= told.keys():
        raise PlanError(f"{path}: its front matter needs name, overview and todos")
    if not isinstance(told["todos"], list) or not told["todos"]:
        raise PlanError(f"{path}: its todos are a list of {{id: ..., content: ..., status: ..., dependencies: [...]}}")
    todos = tuple(_todo(path, i, one) for i, one in enumerate(told["todos"]))
    _check(path, todos)
    return Todos(str(told["name"]), str(told["overview"]), todos, text)


def write(path: Path, plan: Todos) -> None:
    """Writes a plan whole; the text below its front matter stays as it was."""
    import yaml

    told = {"name": plan.name, "overview": plan.overview, "todos": [todo.told for todo in plan.todos]}
    front = yaml.safe_dump(told, sort_keys=False, allow_unicode=True, width=120)
    write_whole(path, f"{_MARK}{front}{_MARK}{plan.text}".encode())


def _todo(path: Path, i: int, one: Any) -> Todo:
    if not isinstance(one, dict) or not one.get("id") or not one.get("content"):
        raise PlanError(f"{path}: todo {i} needs an id and a content")
    unknown = sorted(one.keys() - {"id", "content", "status", "dependencies", "run"})
    if unknown:
        raise PlanError(f"{path}: {one['id']} has {unknown[0]!r}; a todo has id, content, status, dependencies and run")
    status, needs = one.get("status", PENDING), one.get("dependencies") or []
    if status not in STATUSES:
        raise PlanError(f"{path}: {one['id']} has the status {status!r}; write one of {', '.join(STATUSES)}")
    if not isinstance(needs, list):
        raise PlanError(f"{path}: the dependencies of {one['id']} are {needs!r}; write a list of ids")
    return Todo(str(one["id"]), str(one["content"]), status, tuple(map(str, needs)), str(one.get("run") or ""))


def _check(path: Path, todos: Sequence[Todo]) -> None:
    """Ids are there once, dependencies are there, none waits for itself, and nothing was begun before its time."""
    ids = [todo.id for todo in todos]
    waiting = {todo.id: set(todo.dependencies) for todo in todos}
    for todo in todos:
        if ids.count(todo.id) > 1:
            raise PlanError(f"{path}: {todo.id} stands there twice; give each todo an id of its own")
        missing = sorted(waiting[todo.id] - set(ids))
        if missing:
            raise PlanError(f"{path}: {todo.id} depends on {missing[0]!r}, which is not there")
        early = [one.id for one in todos if one.id in todo.dependencies and one.status != DONE]
        if todo.status in (BEGUN, DONE) and early:
            raise PlanError(f"{path}: {todo.id} is {todo.status}, and {early[0]}, on which it depends, is not {DONE}")
    while free := [id for id, needs in waiting.items() if not needs]:
        waiting = {id: needs - set(free) for id, needs in waiting.items() if id not in free}
    if waiting:
        raise PlanError(f"{path}: {', '.join(waiting)} wait for one another; take one dependency out")


def main(arguments: list[str]) -> int:
    """Shows a plan's todos, or does one of them. Returns the exit code of its command, and 2 on bad input."""
    parser = argparse.ArgumentParser(prog="lab todo", description=__doc__)
    parser.add_argument("plan", type=Path, help="a Markdown file, as hypotheses/oracle/plan.md")
    parser.add_argument("id", nargs="?", help="what to do: runs its command (default: shows all)")
    parser.add_argument("--status", choices=STATUSES, help="runs nothing, and says how far it is")
    asked = parser.parse_args(arguments)
    try:
        plan = read(asked.plan)
        if asked.id is None:
            print("\n".join([f"{plan.name}: {plan.overview}", *(_line(plan, todo) for todo in plan.todos)]))
            return 0
        begun = plan.started(asked.id, asked.status or BEGUN)
        todo = next(one for one in begun.todos if one.id == asked.id)
        command = [] if asked.status else _command(todo)
        write(asked.plan, begun)
        if asked.status:
            return 0
        code, status = 1, PENDING
        try:
            code = subprocess.run(command).returncode
            status = PENDING if code else DONE
        finally:
            write(asked.plan, read(asked.plan).started(todo.id, status))  # what others changed meanwhile stays
        return code
    except PlanError as error:
        print(f"lab todo: {error}", file=sys.stderr)
        return 2


def _line(plan: Todos, todo: Todo) -> str:
    waits = plan.waits_for(todo)
    after = f" (after {', '.join(waits)})" if waits and todo.status == PENDING else ""
    return f"  {todo.status:12}{todo.id}{after}: {todo.content}"


def _command(todo: Todo) -> list[str]:
    """What its command runs; python and pytest are this interpreter's. Raises PlanError where nothing can be run."""
    try:
        program, *rest = shlex.split(todo.run) or [""]
    except ValueError as error:
        raise PlanError(f"the command of {todo.id} cannot be read ({error}); mend it: {todo.run}") from None
    if not program:
        raise PlanError(f"{todo.id} has no command; do it, then say so: --status {DONE}")
    if program in ("python", "pytest"):
        return [sys.executable, *(["-m", program] if program == "pytest" else []), *rest]
    if shutil.which(program) is None:
        raise PlanError(f"the command of {todo.id} runs {program}, which is not here; install it, or mend the plan")
    return [program, *rest]
