"""One file a contender, importing its own library only (its environment has no other).

Each has PACKAGES (whose versions are shown), `wrap(model)`, and WAYS: for each task the ways to do it, by name; a way
takes what `wrap` returned and the work, and returns what the task asks for. A peer's first way is its fastest.
"""
