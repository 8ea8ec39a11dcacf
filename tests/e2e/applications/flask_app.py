"""A usual Flask form: `flash` and a redirect after a wrong password. `python flask_app.py PORT DIRECTORY`"""

import logging
import sys

from flask import Flask, flash, get_flashed_messages, redirect, request, session

app = Flask(__name__)
app.secret_key = "for tests alone"
logging.getLogger("werkzeug").disabled = True


@app.route("/login", methods=["GET", "POST"])
def login():
    if request.method == "GET":
        return f"{get_flashed_messages()}<form method=post><input name=username><input name=password type=password></form>"
    if request.form["username"] in ("root", "ada", "renée") and request.form.get("password") == "right":
        session["user"] = request.form["username"]
        return redirect("/me")
    flash("Wrong password")
    return redirect("/login")


@app.route("/me")
def me():
    return session.get("user", "")


@app.route("/who")
def who():
    return request.headers.get("x-sso-user", "")


app.run("127.0.0.1", int(sys.argv[1]))
