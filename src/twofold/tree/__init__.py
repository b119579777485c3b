"""The user's files: read in archive order, written back safely."""
