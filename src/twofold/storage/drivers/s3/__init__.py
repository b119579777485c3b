"""s3:// with boto3: Amazon's and the services that speak the same (docs/storage.md)."""
