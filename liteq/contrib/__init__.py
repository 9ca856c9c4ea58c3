"""What builds on liteq for frameworks and special needs."""
