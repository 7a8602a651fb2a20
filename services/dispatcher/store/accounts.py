"""What an account's state lets go out now: nothing when it is suspended, urgent texts only in its quiet hours."""

URGENT = 100
"""Messages of this priority and above may pass quiet hours where the account says so."""

NOTHING_MAY_GO = 32_767

_LOCAL = "(clock.time at time zone a.time_zone)::time"

QUIET = f"""coalesce(case
        when a.quiet_from < a.quiet_until then {_LOCAL} >= a.quiet_from and {_LOCAL} < a.quiet_until
        else {_LOCAL} >= a.quiet_from or {_LOCAL} < a.quiet_until
    end, false)"""
"""Whether account `a` has its quiet hours at `clock (time)`; equal ends mean the whole day."""

LEAST_PRIORITY = f"""case
        when a.status = 'suspended' then {NOTHING_MAY_GO}
        when {QUIET} then case when a.quiet_urgent then {URGENT} else {NOTHING_MAY_GO} end
        else -32768
    end"""
"""The least priority with which a message of account `a` may go out at `clock (time)`."""
