"""Who gets in: sessions, sign-in, and what every form and answer is guarded by."""
