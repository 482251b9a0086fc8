from .processes import find_program

__all__ = ["find_program"]
