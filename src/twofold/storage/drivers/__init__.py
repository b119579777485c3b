"""One module a service: only translation to its library and to our errors."""
