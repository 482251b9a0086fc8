from .join import Joined, join_record
from .reader import Record, open_record
from .writer import RecordWriter, open_next_record

__all__ = [
    "Joined",
    "Record",
    "RecordWriter",
    "join_record",
    "open_next_record",
    "open_record",
]
