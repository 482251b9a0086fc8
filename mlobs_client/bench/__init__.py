"""Measure the speed of models on this machine: ``cases`` lists settings, ``timing`` times them."""
