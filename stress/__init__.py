"""Load, faults and measurements; nothing here is part of the installed package."""
