"""A hub's ticks in Python: its stream with gaps filled, several hubs at once, and what vnpy makes of a tick.

All but `desk` and the gateways need pyzmq and msgpack alone.
"""
