"""What stored bytes mean: names, manifests, tars. Reader and writer side by side; no files are opened here."""
