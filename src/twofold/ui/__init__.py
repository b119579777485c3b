"""The command line; nothing below knows argv, the environment or standard output."""
