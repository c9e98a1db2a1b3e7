"""How requests travel: connections, pools and their errors; only this and ``rest`` use urllib3."""
