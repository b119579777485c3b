"""gs:// with Google's own library: objects in a bucket of Google Cloud Storage (docs/storage.md)."""
