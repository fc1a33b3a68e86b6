"""What a run costs on this machine: each stage alone, the whole, and what to change."""
