"""The auth service: owns accounts and credentials, and says who is behind one."""
