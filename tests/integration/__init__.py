"""Real consumers, real signals, real kills.

A test starts `python -m liteq consume` as a user would, in a folder of its own that holds a copy of `app.py`,
and enqueues from its own process on the same file. What tasks did is read from the notes that they append to
a file; what they wait for is a gate: a file that the test makes. Nothing here is timed: tests wait for a
condition, up to `consumer.PATIENCE`.
"""
