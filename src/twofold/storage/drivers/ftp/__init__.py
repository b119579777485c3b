"""FTP, with and without TLS: session.py speaks it, listing.py reads directories, store.py is the Store."""
