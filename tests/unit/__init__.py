"""Tests of single modules: a file here mirrors a module of liteq, and says exactly what it does."""
