"""How fast models are on this machine: ``cases`` says what to measure, ``timing`` measures it."""
