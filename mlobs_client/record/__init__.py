"""The observable record: what is too large for i-PI's text files, joined to beads and steps.

A record is one ordinary HDF5 file that only ever grows at its end, so that a kill at any moment
and a cut at any byte leave every row before readable.
"""

from mlobs_client.record.join import Joined, join_record
from mlobs_client.record.reader import Record, open_record
from mlobs_client.record.writer import RecordWriter, open_next_record

__all__ = [
    "Joined",
    "Record",
    "RecordWriter",
    "join_record",
    "open_next_record",
    "open_record",
]
