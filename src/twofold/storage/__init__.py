"""Named files in one flat place, anywhere."""
