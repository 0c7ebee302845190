"""Files: finding, reading, digesting and writing them whole, and asking the hub; imports no other part of `lab`."""
