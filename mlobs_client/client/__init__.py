"""The client: from its file to answers."""
