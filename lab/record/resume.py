"""The items of a long loop, and which of them are done: `evidence.resume` gives only those that are not."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Generic, TypeVar

from lab.files.digest import digest
from lab.files.plain import plain

Item = TypeVar("Item")


class Work(Generic[Item]):
    """The items of one loop, and what came of each. What an interrupted run finished is not done again.

        work = evidence.resume(tasks, key=lambda task: task.id)
        for task in work:
            work[task] = judge(task)
        scores = work.results

    Each result is on the disk before the next item is begun. An item whose turn passed without a result
    has the result None.
    """

    def __init__(
        self,
        items: Iterable[Item],
        key: Callable[[Item], Any] | None,
        done: Mapping[str, Any],
        keep: Callable[[str, Any], None],
    ) -> None:
        self._key = key
        self._items: dict[str, Item] = {}
        for item in items:
            if (name := self.key(item)) in self._items:
                raise ValueError(f"two items have the key {name!r}; pass key= a function that tells them apart")
            self._items[name] = item
        self._done = {key: done[key] for key in self._items if key in done}
        self._keep = keep

    def key(self, item: Item) -> str:
        """What an item is called in the journal."""
        made = item if self._key is None else self._key(item)
        return str(made) if isinstance(made, str | int) else digest(made)

    def __iter__(self) -> Iterator[Item]:
        """The items that are not done, in their order."""
        for key, item in self._items.items():
            if key not in self._done:
                yield item
                if key not in self._done:
                    self._record(key, None)

    def __setitem__(self, item: Item, result: Any) -> None:
        """Records what came of an item, as plain JSON values.

        Raises KeyError for a stranger, ValueError for a second result.
        """
        key = self.key(item)
        if key not in self._items:
            raise KeyError(f"{key!r} is none of the items of this loop")
        if key in self._done:
            raise ValueError(f"{key!r} has its result already")
        self._record(key, result)

    def __getitem__(self, item: Item) -> Any:
        return self._done[self.key(item)]

    def __contains__(self, item: Item) -> bool:
        """Whether an item is done."""
        return self.key(item) in self._done

    def __len__(self) -> int:
        return len(self._items)

    @property
    def results(self) -> list[Any]:
        """What came of each item, in the order of the items. Raises ValueError while some are not done."""
        missing = [key for key in self._items if key not in self._done]
        if missing:
            raise ValueError(f"{len(missing)} of {len(self)} items are not done, {missing[0]!r} is the first")
        return [self._done[key] for key in self._items]

    def _record(self, key: str, result: Any) -> None:
        result = plain(result)
        self._keep(key, result)
        self._done[key] = result
