"""rsync:// as a daemon's module or over ssh: each call is a run of the program rsync."""
