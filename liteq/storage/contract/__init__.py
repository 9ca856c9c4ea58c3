"""The verbs of the storage contract, by concern; `liteq.storage.base` puts them together."""
