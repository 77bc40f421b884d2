"""The command line: one module per program, each flags in, one call, a line out."""
