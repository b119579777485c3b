"""What a finished file is wrapped in: nothing, gzip or an OpenPGP message."""
