"""Stores around Stores: retries, checks, limits."""
