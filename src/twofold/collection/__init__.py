"""Which backups exist, worked out from file names alone."""
