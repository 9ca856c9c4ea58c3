"""The suite of `liteq.testing.conformance`, run for our own backends; and what each promises beyond it."""
