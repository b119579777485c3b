"""What driver authors test with: the conformance suite and stores that fail or record."""
