"""Start one i-PI and its clients, watch them, and stop them cleanly.

``address`` frees what dead servers left behind, ``processes`` are children with a log,
``sources`` notes what clients read, ``ending`` reads how i-PI ended, ``progress`` how far it is,
and ``local`` joins these.
"""
