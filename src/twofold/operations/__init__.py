"""One module a verb: a pure plan and a function that carries it out."""
