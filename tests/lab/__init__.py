"""The tests of the lab, a package so that what they share lives just as long as they run."""
