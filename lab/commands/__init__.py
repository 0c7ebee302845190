"""The laboratory's own commands of `lab`, one module each with a `main(arguments)`; studies register theirs."""
