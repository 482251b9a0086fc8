"""The connection of a client to i-PI: it reads structures from a socket, and sends replies."""
