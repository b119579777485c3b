"""Which files take part: include and exclude rules over paths and entries."""
