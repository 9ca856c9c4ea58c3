"""The benchmark: liteq, its peers and the limit side by side, in turns, so that ratios mean something.

`run.py` is the command. A module of `measures` measures one thing and returns `Figure`s. `system.py` says
what is compared, `session.py` runs one of them, `driver.py` runs inside its interpreter. `bare.py` is the
limit. `report.py` writes the table, `plots.py` the drawings.
"""
