"""A hub's ticks in Python: its stream with gaps filled, several hubs at once, and what vnpy makes of a tick.

`stream`, `merge` and `convert` need pyzmq and msgpack alone.
"""
