"""exec://: commands of the user's own as a store: commands.py reads them, store.py runs them."""
