"""Duty (S13): the right to make new orders, granted to one boot from off the host, for minutes at a time.

``forms`` reads grants and retirements; ``checkpoint`` writes what this boot has counted, ``carried`` reads what another
boot wrote, ``succession`` goes on from it; ``officer`` decides. All pure. docs/duty.md has the bytes and the reasons.
"""
