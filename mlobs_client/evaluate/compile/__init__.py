"""Compile networks into programs of fixed size, in the background, and store them on disk.

For a small system, MACE spends most of its time between its many small kernels. Compiled for a
given number of atoms and edges, by torch's inductor and the machine's C++ compiler, the same
network takes a fraction of that time. ``geometry`` pads structures and their pairs to a fixed size,
and finds the edges; ``radial`` replaces the parts of a network that depend only on the length of an
edge by tables; ``trace`` turns all this into two graphs, for the values and for the backward pass;
``worker``, a separate process, compiles and times them; ``store`` keeps the result; ``programs``
runs it; ``networks`` chooses a program, and compares it with the network itself before it is used.
"""
