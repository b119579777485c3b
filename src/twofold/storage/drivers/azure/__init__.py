"""azure:// with Microsoft's own library: block blobs in a container (docs/storage.md)."""
