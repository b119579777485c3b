"""twofold's own benchmarks; `make bench` runs them all."""
