"""Backblaze B2: session.py logs in and asks, faults.py knows what refusals mean, store.py is the Store."""
