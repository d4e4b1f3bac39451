"""All orders ever accepted, by venue id and by client id."""

from collections.abc import Iterator

from casemate_mock.exchange.orders import Order, Side


class OrderStore:
    """Keeps the latest value of every order; nothing is ever forgotten."""

    def __init__(self) -> None:
        """Start empty."""
        self._orders: dict[str, Order] = {}
        self._open: dict[str, Order] = {}
        self._by_client: dict[tuple[str, str], list[str]] = {}

    def __len__(self) -> int:
        """Count of orders ever accepted."""
        return len(self._orders)

    def put(self, order: Order) -> Order:
        """Add or replace, and index a client id that is new."""
        self._orders[order.venue_id] = order
        if order.is_open:
            self._open[order.venue_id] = order
        else:
            self._open.pop(order.venue_id, None)
        ids = self._by_client.setdefault((order.account, order.client_id), [])
        if order.client_id and order.venue_id not in ids:
            ids.append(order.venue_id)
        return order

    def get(self, venue_id: str) -> Order | None:
        """Order by the venue's id."""
        return self._orders.get(venue_id)

    def of_client(self, account: str, client_id: str) -> list[Order]:
        """Orders of an account under a client id, oldest first."""
        found = (self._orders[venue_id] for venue_id in self._by_client.get((account, client_id), []))
        return [order for order in found if order.client_id == client_id]

    def every_of_client(self, client_id: str) -> tuple[Order, ...]:
        """Orders of all accounts under a client id."""
        return tuple(order for order in self._orders.values() if order.client_id == client_id)

    def every(self) -> tuple[Order, ...]:
        """All orders, oldest first."""
        return tuple(self._orders.values())

    def open(self, account: str | None = None, symbol: str | None = None, side: Side | None = None) -> Iterator[Order]:
        """Open orders, oldest first; None selects all."""
        for order in tuple(self._open.values()):
            if account not in {None, order.account}:
                continue
            if symbol in {None, order.symbol} and side in {None, order.side}:
                yield order
