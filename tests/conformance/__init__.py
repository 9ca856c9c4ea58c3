"""One suite over the storage contract (`liteq.storage.base`), which every backend passes.

To add a backend, write a factory `(tmp_path, name) -> Storage` and enter it in `BACKENDS` of `conftest.py`. The
factory returns a handle on the queue `name`; called twice for one `tmp_path` and name it returns, where the
backend's capabilities say `shared`, two handles on the same queue, as two processes would have them. Every
test then runs for the new backend; those about other connections and about rollback only where
`capabilities.shared` and `capabilities.durable` promise them. `pytest tests/conformance -k NAME` runs one.
"""
