"""Whole backups to real servers, each protocol once from end to end."""
