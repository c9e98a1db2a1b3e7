"""How requests travel: the only package that knows urllib3 and sockets."""
