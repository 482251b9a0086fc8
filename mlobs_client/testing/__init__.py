"""For tests of clients, evaluators and terms."""
