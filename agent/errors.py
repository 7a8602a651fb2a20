"""What can keep the agent from running; the text is the one line that a person reads."""


class AgentError(Exception):
    """The agent cannot go on."""


class SettingsError(AgentError):
    """A setting is missing or wrong."""


class JournalError(AgentError):
    """The journal cannot be used."""
