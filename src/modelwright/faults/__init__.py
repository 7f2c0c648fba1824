"""Programs with known faults: text that is planted and run elsewhere, never imported."""
