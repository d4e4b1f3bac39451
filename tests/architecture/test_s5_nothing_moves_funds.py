"""S5: no code builds withdrawals or transfers. S6: what logs a session on is listed apart.

What the enclave can say to a venue is what stands in its venue files. So every text in them that names an endpoint
is collected from the syntax tree and compared with the list of what is meant: a new one fails here first, and
somebody has to say in this file what it does.
"""

import ast
import re
from pathlib import Path

from enclave_signer.model import Operation
from enclave_signer.venues.base import Site

ENCLAVE = Path(__file__).parents[2] / "enclave" / "enclave_signer"
PLACE_CHANGE_OR_CANCEL = {
    "/api/v3/order",
    "/api/v3/order/amend/keepPriority",
    "/api/v3/openOrders",
    "/fapi/v1/order",
    "/fapi/v1/algoOrder",
    "/fapi/v1/allOpenOrders",
    "/fapi/v1/algoOpenOrders",
    "/v5/order/create",
    "/v5/order/amend",
    "/v5/order/cancel",
    "/v5/order/cancel-all",
    "/api/v5/trade/order",
    "/api/v5/trade/order-algo",
    "/api/v5/trade/amend-order",
    "/api/v5/trade/cancel-order",
    "/api/v5/trade/cancel-algos",
    "/0/private/AddOrder",
    "/0/private/AmendOrder",
    "/0/private/CancelOrder",
    "/api/v3/brokerage/orders",
    "/edit",
    "/batch_cancel",
    "/api/v1/order",
    "/api/v1/orders",
}
READ = {
    "/api/v3/account",
    "/fapi/v1/openOrders",
    "/fapi/v1/openAlgoOrders",
    "/fapi/v3/account",
    "/v5/order/realtime",
    "/v5/account/wallet-balance",
    "/api/v5/trade/orders-pending",
    "/api/v5/trade/orders-algo-pending",
    "/api/v5/account/balance",
    "/0/private/QueryOrders",
    "/0/private/OpenOrders",
    "/0/private/ClosedOrders",
    "/0/private/BalanceEx",
    "/historical/",
    "/historical/batch",
    "/v2/accounts",
    "/wapi/v1/history/orders",
    "/api/v1/capital",
}
# For read-only accounts alone: tests/enclave/test_s6_logons.py.
LOGON = {"/0/private/GetWebSocketsToken", "/fapi/v1/listenKey"}
LOGON_WORDS = {
    ("binance.py", "/fapi/v1/listenKey"),
    ("okx.py", "login"),
    ("load.py", "LOGON"),
    ("decode.py", "logon"),
    ("logon.py", "logon"),
}
# Backpack signs the name of an instruction in place of method and path.
INSTRUCTIONS = {
    "orderExecute",
    "orderCancel",
    "orderCancelAll",
    "orderQuery",
    "orderQueryAll",
    "orderHistoryQueryAll",
    "balanceQuery",
}
MOVES_FUNDS = re.compile(
    r"withdraw|transfer|payout|convert|sub-?account|redeem|borrow|sapi|listenKey|logon|login", re.IGNORECASE
)


def _texts(path: Path) -> set[str]:
    """Every text of a file but its docstrings and comments."""
    tree = ast.parse(path.read_text())
    skipped = {
        id(node.body[0].value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef)
        and node.body
        and isinstance(node.body[0], ast.Expr)
    }
    return {
        node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in skipped
    }


def _endpoints() -> set[str]:
    texts = {text for path in (ENCLAVE / "venues").glob("*.py") for text in _texts(path)}
    return {text.split("?", 1)[0] for text in texts if re.match(r"/[A-Za-z0-9]", text)}


def test_s5_the_enclave_knows_no_endpoint_but_those_that_place_change_cancel_or_read_orders_and_balances() -> None:
    assert _endpoints() == PLACE_CHANGE_OR_CANCEL | READ | LOGON


def test_s5_backpacks_instructions_are_those_of_orders_and_balances_alone() -> None:
    texts = _texts(ENCLAVE / "venues" / "backpack.py")
    assert {text for text in texts if re.fullmatch(r"(order|balance)[A-Z]\w+", text)} - {"orderType", "orderId"} == (
        INSTRUCTIONS
    )


def test_s5_s6_no_text_in_the_enclave_names_a_way_to_move_funds_and_few_log_a_session_on() -> None:
    named = {(path.name, text) for path in ENCLAVE.rglob("*.py") for text in _texts(path) if MOVES_FUNDS.search(text)}
    # Prose of declarations explains what cannot be done; it never begins like an endpoint and no request holds a space.
    assert {item for item in named if " " not in item[1]} == LOGON_WORDS


def test_s5_a_venue_can_be_asked_for_eight_things_and_no_other() -> None:
    asked = {name for name in vars(Site) if not name.startswith("_")}
    assert asked == {"create", "cancel", "cancel_all", "amend", "query", "open_orders", "balances", "logon"}
    assert {operation.name.lower() for operation in Operation} - asked == {"order_closed", "halt"}
