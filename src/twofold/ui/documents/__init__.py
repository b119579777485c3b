"""Documents made from the tables of actions and options: the manual page and completions for bash, zsh and fish.

Nothing here is loaded by a run of the program. `make documents` writes the files that are installed with it.
"""
