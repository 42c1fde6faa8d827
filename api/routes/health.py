"""Whether the API lives, and whether what it needs is there."""

from fastapi import APIRouter, Response
from fastapi.responses import JSONResponse

from api.deps import ServicesDep

router = APIRouter(prefix="/health", tags=["Operator"])


@router.get("/live", summary="The process answers")
async def live() -> dict[str, str]:
    return {"status": "ok"}


@router.get("/ready", summary="Temporal and the database answer")
async def ready(services: ServicesDep) -> Response:
    """200 when every part is "ok", else 503; either way each part is named with what is the matter."""
    parts = await services.ready()
    fine = all(state == "ok" for state in parts.values())
    content = {"status": "ok" if fine else "unavailable", "parts": parts}
    return JSONResponse(content, 200 if fine else 503, headers=None if fine else {"Retry-After": "5"})
