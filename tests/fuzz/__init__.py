"""Parsers fed with whatever bytes: `make fuzz` looks for new inputs, `make test` replays those that are kept."""
