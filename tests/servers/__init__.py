"""Real servers for the tests of storage drivers: programs that somebody else wrote, on ports of their own."""
