"""Results of subjects that outlive a process: entries on disk, and subjects that look there before they are asked."""
