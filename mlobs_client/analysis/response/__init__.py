"""Responses to electric fields."""
