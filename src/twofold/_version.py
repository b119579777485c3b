"""The one place where the version is written down."""

VERSION = "0.1.0"
