"""Compute against every peer installed: `./run bench compute`, one case after another."""
