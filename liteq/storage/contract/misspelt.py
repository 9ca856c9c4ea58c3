"""Options that a backend does not have are refused, with the one that was probably meant."""

from __future__ import annotations

from collections.abc import Iterable

from liteq.exceptions import ConfigurationError

OF_THE_QUEUE = (
    "name", "results", "store_none", "utc", "immediate", "serializer", "compression", "use_zlib",
    "immediate_use_memory", "storage_class", "store_intermediate_errors", "max_payload",
)  # fmt: skip
"""What the queue takes for itself: a misspelt one is handed on to its backend."""
_ALIKE = 0.75
"""See `difflib`: `hots` and `host` are so alike, `filename` and `name` are less."""


def refuse_unknown(backend: type, unknown: Iterable[str], more: Iterable[str] = ()) -> None:
    """Refuse the options that are unknown to a backend, if there are any.

    Args:
        backend: the class, whose constructor names those that it knows.
        unknown: the names of options, not their values, among which there may be passwords.
        more: known ones that the constructor does not name.

    Raises:
        ConfigurationError: if there are any.
    """
    wrong = sorted(unknown)
    if not wrong:
        return
    known = named_by(backend).union(more) - {"name"}
    raise ConfigurationError(f"{backend.__name__} has no option {', '.join(wrong)}; {_hint(wrong, known)}")


def named_by(made: type) -> set[str]:
    """The options that the constructors of a class and of those that it inherits from name."""
    import inspect  # which is slow to load

    constructors = [vars(cls)["__init__"] for cls in made.__mro__[:-1] if "__init__" in vars(cls)]
    return {
        name
        for constructor in constructors
        for name, parameter in [*inspect.signature(constructor).parameters.items()][1:]
        if parameter.kind not in {inspect.Parameter.VAR_KEYWORD, inspect.Parameter.VAR_POSITIONAL}
    }


def _hint(wrong: list[str], known: set[str]) -> str:
    from difflib import get_close_matches  # loaded in no program that is right

    meant: dict[str, None] = {}
    for name in wrong:
        meant.update(dict.fromkeys(get_close_matches(name, sorted({*known, *OF_THE_QUEUE}), 1, _ALIKE)))
    if meant:
        return f"did you mean {', '.join(meant)}?"
    return f"it has {', '.join(sorted(known))}"
