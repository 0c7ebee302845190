"""Commands of `lab` that belong to no study, a module each: what a person calls beside pytest."""
