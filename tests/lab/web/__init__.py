"""The tests of the page, a package so that their browser closes after the last of them."""
