"""Whether the API lives, and whether what it needs is there."""

from fastapi import APIRouter
from fastapi.responses import JSONResponse

from api.deps import ServicesDep
from api.docs import problem_docs
from api.problems import Problem

router = APIRouter(prefix="/health", tags=["Operator"])


@router.get("/live", summary="The process answers")
async def live() -> dict[str, str]:
    return {"status": "ok"}


@router.get("/ready", summary="Temporal and the database answer", responses=problem_docs(503))
async def ready(services: ServicesDep) -> JSONResponse:
    """200 when every part is "ok", else a 503 problem; either way `parts` names each with what is the matter."""
    parts = await services.ready()
    away = [f"{name} {state}" for name, state in parts.items() if state != "ok"]
    if away:
        raise Problem(503, "; ".join(away), headers={"Retry-After": "5"}, more={"parts": parts})
    return JSONResponse({"status": "ok", "parts": parts})
