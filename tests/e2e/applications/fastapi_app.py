"""A login by JSON that answers a wrong password with 200 too. `python fastapi_app.py PORT DIRECTORY`"""

import sys

import uvicorn
from fastapi import FastAPI, Request, Response
from fastapi.responses import PlainTextResponse
from pydantic import BaseModel


class Login(BaseModel):
    username: str
    password: str = ""


app = FastAPI()


@app.post("/api/login")
def login(sent: Login, response: Response):
    if sent.username not in ("root", "ada", "renée") or sent.password != "right":
        return {"code": 40101}
    response.set_cookie("who", sent.username.encode().hex())
    return {"code": 0, "access_token": "t"}


@app.get("/me", response_class=PlainTextResponse)
def me(request: Request):
    return bytes.fromhex(request.cookies.get("who", "")).decode()


@app.get("/who", response_class=PlainTextResponse)
def who(request: Request):
    return request.headers.get("x-sso-user", "")


uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[1]), log_level="error")
