"""Find mistakes in an input of i-PI and its client files before they cost an allocation.

``ipi_parser`` lets i-PI itself read the XML, ``inputs`` checks the XML alone, ``agreement`` the XML
against the client files, and ``physics`` the models.
"""
