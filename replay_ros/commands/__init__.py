"""The command lines: thin modules that parse, call and print."""
