"""The engine against every peer installed: `./run bench engine`, a case after the other."""
