"""The queue in a folder: every message a file, every state a folder, every transition a rename.

For tests and development: all that happens can be seen with `ls` and `cat`. It keeps the promises of the
contract, as the SQLite backend does, but every process that uses a queue holds all of it in memory, and has
to look for what others have changed before each verb. So it is slow, and the slower the more there is.

A queue is a folder in `path`:

    ready/ scheduled/ waiting/ claimed/ dead/   one file per message, in the folder of its state. Its name is
                  the message's number, attempt and crashes; of a claim also owner, revocation and lease. Its
                  contents never change: a checksum, a line of JSON, and the serialized task.
    results/      one file per result, named by its key and a hash of its contents
    ends/         the ends of chords' members, named by the number of the callback and the position
    reasons/      why messages died, named by number and attempt
    history/      one file per attempt that has ended, numbered
    state.json    all that is small: pauses, revocations, locks, counters, consumers, the timetable …
    lock, gate, journal, new/   how processes agree; see below
    damaged/      files that could not be read, or were not ours, once there are some
    events/       pipes of those who listen to live events, while there are any
    bell, done    written after a commit, to wake consumers and those who wait for results

**Transactions.** Whoever writes holds an exclusive lock (flock) on `lock` for the length of its batch, so
that one batch at a time is under way. The verbs of a batch change the queue in memory alone. At its end, the
difference to what the folder holds is a list of steps: put a file, rename one, remove one. New files are
written into `new/` first. Then the list becomes the file `journal`, by one rename: from here on the batch has
happened. Then the steps are taken, and `journal` is removed. All of this under an exclusive lock on `gate`;
whoever looks at the folder holds a shared one. Locks end with the process that holds them. So whoever gets in
and finds a journal knows that its writer died between two steps, and takes the steps: those that have been
taken are seen to be, because each makes its own beginning disappear. Without a journal, what is in `new/` was
never committed.

**Power failures.** New files, the journal and each folder with a changed entry are synchronised with the disk
before the step that relies on them, the folders above the queue among them. With `fsync=False` nothing is:
that survives the death of any process, and not a power failure.

**Seeing changes.** `gate` holds a number that is raised before each commit. A process that finds it as it
left it has the whole queue in memory; otherwise it lists the folders, and reads the files that are new to it.
"""

from __future__ import annotations

from liteq.storage.file.engine import FileStorage

__all__ = ["FileStorage"]
