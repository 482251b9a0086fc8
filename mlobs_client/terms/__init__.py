"""Extra force terms: each an energy that is a function of observables."""
