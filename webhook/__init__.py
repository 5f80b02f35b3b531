"""
The server: aiohttp around the engine.

What belongs here is how a review comes in and an answer goes out; what the answer is,
`policies` knows.
"""
