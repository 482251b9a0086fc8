"""Run campaigns, in which runs can continue from others.

``file`` is the campaign file, ``template`` becomes the folder of a run, ``campaign`` knows all runs
and their order, ``state`` reads the state of a run from its folder, ``run`` executes one run,
``execution`` all of them with parsl, and ``results`` collects their averages in one table.
"""
