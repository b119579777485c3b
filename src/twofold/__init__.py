"""twofold: encrypted, incremental backups in duplicity's archive format."""
