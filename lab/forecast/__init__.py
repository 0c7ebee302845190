"""What a run would do and cost, without a run: subjects that count what they are asked, and the plan in words."""
