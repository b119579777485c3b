"""One backup target as the operations see it."""
