"""The vocabulary: small frozen values that every layer above speaks in."""
