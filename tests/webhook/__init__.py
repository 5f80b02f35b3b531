"""Tests of the server, through TLS: a real process, or the real server in this one's loop."""
