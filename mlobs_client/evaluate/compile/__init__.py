"""Networks as compiled programs of fixed size, made in the background and kept on disk.

MACE spends most of the time of a small system between its many small kernels. Compiled for a given
number of atoms and edges, by torch's inductor and the machine's C++ compiler, the same network
takes a fraction of it. Way of the data: ``geometry`` fills structures and their pairs up to a fixed
size, and finds the edges; ``radial`` puts tables in place of the parts of a network that see only
the length of an edge; ``trace`` turns all this into two graphs, values and the way back;
``worker``, a process of its own, compiles them and measures; ``store`` keeps what came out;
``programs`` runs it; ``networks`` decides what is used, and compares it with the network itself
before it is believed.
"""
