"""``casemate demo``: the whole system on one machine, played with orders, every one accounted for."""
