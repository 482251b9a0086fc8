"""The i-PI side of a client: bytes on a socket to structures, replies to bytes."""
