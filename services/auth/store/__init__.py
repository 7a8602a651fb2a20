"""Auth's rows in Postgres, one file a topic. A change, its epoch and its line in the audit log are one transaction."""
