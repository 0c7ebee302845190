"""What a run would do and cost, counted by subjects without weights; writes nothing, and imports no pytest."""
