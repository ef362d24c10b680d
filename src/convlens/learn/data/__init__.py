"""Labelled data: what a sample is, the formats it is read from, and its split and checks."""
