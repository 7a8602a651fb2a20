"""SMSMobileAPI's wire language; its words and quirks live here and nowhere else."""
