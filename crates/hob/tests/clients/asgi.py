"""An ASGI application, and what makes it a function of AWS Lambda."""
import asyncio

from mangum import Mangum
from starlette.applications import Starlette
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route


async def parse(request):
    try:
        told = await request.json()
    except ValueError:
        return PlainTextResponse("bad json", 400)
    return JSONResponse({"id": request.path_params["id"], "q": request.query_params["q"], "a": told["a"]})


async def length(request):
    return PlainTextResponse(str(len(await request.body())))


async def large(request):
    return PlainTextResponse("x" * (5 << 20))


async def echo(request):
    return Response(await request.body(), media_type="application/octet-stream")


async def cookies(request):
    answer = PlainTextResponse("; ".join(f"{name}={value}" for name, value in request.cookies.items()))
    answer.set_cookie("a", "1")
    answer.set_cookie("b", "2")
    return answer


async def fail(request):
    raise ValueError("no such thing")


async def sleep(request):
    await asyncio.sleep(30)


async def other(request):
    return PlainTextResponse(request.url.path)


app = Starlette(routes=[
    Route("/parse/{id}", parse, methods=["POST"]),
    Route("/length", length, methods=["POST"]),
    Route("/large", large),
    Route("/bytes", echo, methods=["POST"]),
    Route("/cookies", cookies),
    Route("/fail", fail),
    Route("/sleep", sleep),
    Route("/{rest:path}", other),
])
handler = Mangum(app, lifespan="off")
