"""The template in use, and the one with newer code that is to take its place."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Protocol

from liteq.workers.launcher import Launcher, Template
from liteq.workers.lines import Lines
from liteq.workers.template import Forked, Loaded, LoadFailed

logger = logging.getLogger("huey.consumer")

_BUDGET = 5
"""So many templates in a row may die without a child."""
_FIRST_BACKOFF = 0.1


class Listener(Protocol):
    """Who is told what becomes of templates."""

    def loaded(self, found: Loaded, *, anew: bool) -> None:
        """The application is loaded: for the first time, or anew, so that children may be replaced."""

    def load_failed(self, failure: LoadFailed) -> None:
        """The application can't be loaded, and there is none that was."""

    def forked(self, message: Forked) -> None:
        """A child has been made."""

    def template_died(self, how: str, *, for_good: bool) -> None:
        """Children that were asked for will not be made; `for_good` if it is no use to try again."""


class Templates:
    """Starts, replaces and ends templates.

    Args:
        launcher: makes the processes, and is told which template is in use.
        lines: the supervisor's lines.
        close_inherited: closes, in a new process, what is the supervisor's alone.
        listener: is told what happens.
        patience: seconds after which an import that has not ended is told of.
    """

    def __init__(
        self,
        launcher: Launcher,
        lines: Lines,
        close_inherited: Callable[[], None],
        listener: Listener,
        patience: float,
    ) -> None:
        self._launcher = launcher
        self._lines = lines
        self._close_inherited = close_inherited
        self._listener = listener
        self._patience = patience
        self._loading_until: float | None = None
        self._next: Template | None = None
        self._barren = 0
        self._start_at: float | None = None
        self._anew = False
        self._given_up = False
        self._loaded_once = False

    def start(self) -> None:
        """Load the application."""
        self._start_at = None
        self._launcher.template = self._make()

    def reload(self) -> bool:
        """Load the application anew; False if children import it for themselves, so that they may begin."""
        if self._launcher.by_itself:
            return False
        if self._launcher.template is None:
            self.start()
        elif not self._launcher.is_able:
            self._abandon(self._launcher.template)
            self._anew = self._loaded_once
            self.start()
        else:
            if self._next is not None:
                self._abandon(self._next)
            self._next = self._make()
        return True

    def _abandon(self, template: Template) -> None:
        """What it is importing may be older than what is there now, and may never end."""
        self._lines.forget(template.control)
        if not template.is_gone:
            template.kill()

    def exited(self, pid: int, how: str) -> bool:
        """Whether the process that has ended was a template; what follows from it is done."""
        template = next((t for t in self._all() if t.pid == pid), None)
        if template is None:
            return False
        self._read(template)  # its last words
        self._lines.forget(template.control)
        template.is_gone = True
        if template is self._next:
            logger.error("The application can't be loaded anew; the old code stays: its import %s", how)
            self._next = None
        elif template is self._launcher.template and not self._launcher.by_itself:
            self._died(template, how)
        return True

    def _died(self, template: Template, how: str) -> None:
        """Start another one: at once if this one had been of use, else after a growing pause."""
        self._barren += 1
        for_good = self._barren >= _BUDGET
        if not (for_good or self._given_up):
            at_once = self._barren == 1 and template.is_loaded
            pause = 0 if at_once else _FIRST_BACKOFF * 2 ** (self._barren - 1)
            self._start_at = time.monotonic() + pause
        template.is_loaded = False
        self._listener.template_died(how, for_good=for_good)

    def next_deadline(self) -> float | None:
        """When `act` has something to do."""
        return min((at for at in (self._start_at, self._loading_until) if at is not None), default=None)

    def act(self, now: float) -> None:
        """Start the template whose pause is over, and say once of an import that it takes long.

        It is not stopped: nothing works without it.
        """
        if self._start_at is not None and self._start_at <= now:
            self.start()
        if self._loading_until is None or now < self._loading_until:
            return
        self._loading_until = None
        for template in self._importing():
            logger.warning(
                "The application has been loading for %.0f s, in process %d, and goes on",
                self._patience, template.pid,
            )  # fmt: skip

    def give_up(self) -> None:
        """Start none any more."""
        self._given_up = True
        self._start_at = self._loading_until = None

    def end(self) -> None:
        """Let them end; one that is loading the application would not hear of it."""
        for template in self._importing():
            template.kill()
        for template in self._all():
            self._lines.forget(template.control)

    def close(self) -> None:
        """In a child: close the lines to them."""
        for template in self._all():
            template.control.close()

    def _all(self) -> list[Template]:
        return [template for template in (self._launcher.template, self._next) if template is not None]

    def _importing(self) -> list[Template]:
        return [template for template in self._all() if not (template.is_loaded or template.is_gone)]

    def _make(self) -> Template:
        template = self._launcher.start_template(self._close_inherited)
        self._lines.add(template.control, lambda: self._read(template))
        self._loading_until = time.monotonic() + self._patience
        return template

    def _read(self, template: Template) -> None:
        for message in self._lines.messages(template.control):
            if isinstance(message, Loaded):
                self._loaded(template, message)
            elif isinstance(message, LoadFailed):
                self._load_failed(template, message)
            elif isinstance(message, Forked):
                self._barren = 0
                self._listener.forked(message)

    def _loaded(self, template: Template, found: Loaded) -> None:
        template.is_loaded = self._loaded_once = True
        self._loading_until = None
        anew = self._anew or template is self._next
        self._anew = False
        if template is self._next:
            if self._launcher.template is not None:
                self._launcher.template.control.finish()  # it makes what it was asked for, and ends
            self._launcher.template, self._next = template, None
        if found.unsafe is not None:
            logger.warning("Each worker imports the application for itself, because %s", found.unsafe)
            self._launcher.by_itself = True
            template.control.finish()
        self._listener.loaded(found, anew=anew)

    def _load_failed(self, template: Template, failure: LoadFailed) -> None:
        if template is self._next:
            logger.error("The application can't be loaded anew; the old code stays:\n%s", failure.text)
            self._next = None
        elif self._loaded_once:
            logger.error("The application can't be loaded; the workers go on, without replacement until "
                         "HUP:\n%s", failure.text)  # fmt: skip
            self._launcher.template = None
        else:
            self._listener.load_failed(failure)
