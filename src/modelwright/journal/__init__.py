"""What happened, kept: an append-only ledger, metric files and artefacts. Interprets nothing."""
