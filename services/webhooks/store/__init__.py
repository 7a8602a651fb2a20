"""What webhooks keeps in Postgres, a file for each topic. Every time is the database's own: no clocks are compared.

Whoever changes deliveries locks the state rows of their endpoints first, in the order of their ids.
"""
