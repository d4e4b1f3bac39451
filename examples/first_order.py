"""One order through the stand-ins; README.md shows the same lines."""

# ruff: noqa: INP001, S108, T201 - a script that prints, of a stack in /tmp

from casemate import OrderIntent, SyncGateway

with SyncGateway.connect("/tmp/casemate/demo-engine.toml") as gateway:
    answer = gateway.submit(
        OrderIntent.limit("binance-spot", "binance", "BTC/USDT", "BUY", quantity="0.001", price="59000")
    )
    if answer.allowed:
        print(answer.verdict.rule, answer.state)
    else:
        print("refused by", answer.verdict.rule, "because", answer.verdict.reason)
