"""What the history of a run is held against: each promise is a function of a `Run`."""
