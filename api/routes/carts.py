"""The cart's simulation. It is on the shopper's critical path, so it asks the Seller directly, without a workflow."""

import asyncio

from fastapi import APIRouter, Depends, Request, Response

from api.bodies import read_request
from api.deps import AS_CART, ServicesDep, storefront
from api.docs import EXAMPLE_CART, body_docs, problem_docs
from api.problems import Problem
from marketplace.checkout import Simulation
from marketplace.errors import SellerError, UnknownSeller
from marketplace.orders import CartRequest
from marketplace.seller.base import Cart

router = APIRouter(prefix="/carts", tags=["Storefront"], dependencies=[Depends(storefront)])


@router.post(
    "/simulation",
    summary="Simulate a cart",
    openapi_extra=body_docs(CartRequest, EXAMPLE_CART),
    dependencies=[AS_CART],
    responses={200: {"model": Simulation}, **problem_docs(400, 401, 404, 413, 422, 429, 502, 503, 504)},
)
async def simulate_cart(request: Request, services: ServicesDep) -> Response:
    """Ask the Seller for availability, stock, prices and, with postalCode and country, the shipping options.

    Every requested item is in the answer; one that the Seller left out has `availability: "unavailable"`.
    """
    body = await read_request(request, CartRequest)
    try:
        seller = services.pool.get(body.seller)
    except UnknownSeller as error:
        raise Problem(404, str(error)) from None
    cart = Cart(items=body.items, postal_code=body.postal_code, country=body.country)
    try:
        async with services.limits.cart_at(body.seller), asyncio.timeout(services.cart_timeout):
            simulation = await seller.simulate(cart)
    except TimeoutError:
        raise Problem(504, f"the Seller has not answered within {services.cart_timeout:g} s; try again") from None
    except SellerError as error:
        raise Problem(502, f"the Seller cannot simulate the cart: {error}", kind=error.failure.verdict) from None
    return Response(simulation.model_dump_json(), media_type="application/json")
