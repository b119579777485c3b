"""Runs every benchmark there is and prints its table: today the kernel beside librsync."""

from bench import kernel

if __name__ == "__main__":
    kernel.main()
