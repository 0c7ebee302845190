"""How often are the verdicts wrong? Every rule that can give PASS, simulated where the truth is known."""
