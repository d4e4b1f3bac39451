"""The duty officer (S13): who may sign new orders, granted from off the host, for minutes at a time.

:mod:`casemate.duty.decide` decides and is pure, :mod:`casemate.duty.forms` has the bytes, the stores keep the sequence,
:mod:`casemate.duty.officer` carries it all out. ``docs/duty-officer.md`` is for who runs it.
"""
