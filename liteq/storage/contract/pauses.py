"""The verbs that hold tasks back without losing their place."""

from __future__ import annotations

from abc import ABC, abstractmethod


class PauseContract(ABC):
    """Pauses, of the whole queue (None) or of all messages of a name. They last until `resume`."""

    @abstractmethod
    def pause(self, name: str | None) -> bool:
        """Let no message be claimed any more, or none of a name; False if they were paused already.

        Claims that are held go on. A paused message keeps its place: it counts as ready, and is claimed in
        its old order once it is not paused any more. Consumers are woken.
        """

    @abstractmethod
    def resume(self, name: str | None) -> bool:
        """Undo `pause` for this very name, or for the queue as a whole; whether it was paused.

        Consumers are woken.
        """

    @abstractmethod
    def paused(self) -> frozenset[str | None]:
        """What is paused: names, and None if the whole queue is."""
