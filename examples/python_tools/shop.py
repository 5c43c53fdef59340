"""Tools: the model sees their names, parameters and docstrings, and gets what they return."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

__all__ = ["find_orders", "total"]


@dataclass
class Order:
    """An order of the shop."""

    number: int
    customer: str
    status: Literal["open", "sent"]
    price: float


ORDERS: Final = [Order(1, "Ada", "sent", 12.5), Order(2, "Ada", "open", 30), Order(3, "Bob", "sent", 7)]


def find_orders(customer: str, status: Literal["open", "sent"] | None = None) -> list[Order]:
    """Find the orders of a customer.

    Args:
        customer: the name, as in "Ada".
        status: where they are; all if it is left out.
    """
    return [order for order in ORDERS if order.customer == customer and status in {None, order.status}]


async def total(numbers: list[int]) -> float:
    """Add up the prices of orders.

    Args:
        numbers: of the orders.
    """
    prices = {order.number: order.price for order in ORDERS}
    if unknown := [number for number in numbers if number not in prices]:
        raise ValueError(f"There are no orders {unknown}.")  # the model reads this, and may correct itself
    return sum(prices[number] for number in numbers)
