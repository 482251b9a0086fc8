"""Write the input of i-PI and the client file for a structure: ``mlobs init --structure``.

``starting_structure`` brings a structure into the form that i-PI needs, ``settings`` chooses what
follows from it (time step, thermostat), ``input_xml`` and ``client_toml`` write the two files, and
``checked_files`` keeps them only if :mod:`mlobs_client.check` finds no error.
"""
