"""Many runs with parameters, of which some start where others have ended.

``file`` is the campaign file, ``template`` becomes the folder of a run, ``campaign`` knows all runs
and their order, ``state`` is what the folder of a run says, ``run`` carries out one of them,
``execution`` all of them by parsl, and ``results`` makes one table of what they have written.
"""
