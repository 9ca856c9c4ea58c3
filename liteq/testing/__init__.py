"""What helps to test; it needs pytest and hypothesis, which `pip install liteq[testing]` brings."""
