"""Readers of checkpoints that other programs wrote, one module per format. They read; `backend.jobs.importing` writes."""
