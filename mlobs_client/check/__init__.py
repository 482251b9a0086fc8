"""Find mistakes in an input of i-PI and its client files before they cost an allocation.

``ipi_input`` reads the XML, ``ipi_parser`` asks i-PI itself, ``inputs`` judges the XML alone,
``agreement`` the XML with the client files, and ``physics`` the models behind them.
"""
