"""The kinds of questions that networks learn to answer, each in a file of its own."""
