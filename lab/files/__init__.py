"""How files are found, read, digested and written whole, and how the hub is asked; what they hold is not known here."""
