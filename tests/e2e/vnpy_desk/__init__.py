"""What the tests of mdhub-vnpy stand on: a line that can be cut, and a desk of vnpy's in a process of its own."""
