"""What `lab` can do beside pytest: check the surroundings, and run the plan's steps by their names."""
