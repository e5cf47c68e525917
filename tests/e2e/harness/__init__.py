"""What the end-to-end suite drives mdhub with: real processes, a real libzmq client, and oracles of its own."""
