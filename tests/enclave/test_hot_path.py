"""Why the hot path costs what it costs: structure, not stopwatches."""

from __future__ import annotations

import gc

from enclave_signer.policy.prepared import shape
from tests.enclave.enclave_rig import BTC, account, denial, grant, instrument, limit, order, plain, policy, ready


def test_however_long_the_lists_an_order_meets_only_what_names_its_engine_symbol_and_shape() -> None:
    symbols = sorted([BTC, *(f"C{n:03}/USDT" for n in range(300))])
    others = [symbol for symbol in symbols if symbol != BTC]
    document = policy(
        account(
            instruments=[instrument(symbol) for symbol in symbols],
            grants=[
                grant("g", symbols=[BTC], operations=["CREATE"]),
                *(grant(f"h{n:03}", symbols=[symbol]) for n, symbol in enumerate(others)),
                *(grant(f"s{n:03}", symbols=[BTC], types=["MARKET"]) for n in range(300)),
            ],
            denials=[denial(f"d{n:03}", symbols=[symbol]) for n, symbol in enumerate(others)],
            limits=[limit("a", symbols=symbols), *(limit(f"b{n:03}", symbols=[s]) for n, s in enumerate(others))],
        )
    )
    enclave = ready(document)
    live = enclave.service._judge.live
    assert live is not None
    scope = live.seats["mm"]["main"].scopes[BTC]
    assert [bounds.grant.name for bounds in scope.grants[shape(1, 1, 1, 1)]] == ["g"]
    assert not scope.denials
    assert [each.name for each in scope.limits] == ["a"]
    assert enclave.rule(order()) == "grant:g"


def test_the_hot_path_leaves_nothing_to_the_garbage_collector() -> None:
    enclave = ready()
    enclave.judged(order(client_order_id="warm"))
    gc.collect()
    gc.disable()
    try:
        for n in range(50):
            enclave.judged(order(client_order_id=f"o-{n}"))
            enclave.judged(order(client_order_id=f"r-{n}", price="9"))
            enclave.judged(order(client_order_id=f"o-{n}", quantity="2"))
            enclave.sign(order(quantity="x"))
            enclave.judged(plain("cancel", client_order_id=f"o-{n}"))
        assert gc.collect() == 0
    finally:
        gc.enable()


def test_what_is_over_is_forgotten_a_few_at_a_time_and_bytes_go_with_their_validity() -> None:
    enclave = ready(policy(account(max_open_orders=1000)))
    for n in range(50):
        enclave.judged(order(client_order_id=f"o-{n}", time_in_force=2))
        enclave.judged(order(client_order_id=f"g-{n}"))
    ledger = enclave.service._ledger
    assert ledger.table.size == 100
    enclave.later(seconds=30)
    now = enclave.clock.now
    for n in range(25):
        enclave.judged(order(client_order_id=f"n-{n}", valid_until=now + 10**9))
    # The resting ones stay, without the bytes that nobody may use any more.
    assert ledger.table.size == 50 + 25
    entries = ledger.account("main").orders.by_id
    assert entries["g-0"].judged is None
    assert entries["n-0"].judged is not None
