"""WebDAV: requests.py asks and knows what answers mean, multistatus.py reads PROPFIND's, store.py is the Store."""
