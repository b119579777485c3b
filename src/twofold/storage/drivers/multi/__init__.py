"""Several stores as one: configuration.py reads what the user has written, store.py is the Store."""
