"""Processes: the supervisor, the dispatcher and the workers of a consumer."""
