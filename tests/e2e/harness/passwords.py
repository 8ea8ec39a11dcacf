"""An application with a password login of its own, and a page that says who is there."""

from .app import Answer
from .readers import pairs

LOGIN_FORM = b"""<!doctype html><title>The application</title><h1>Password sign-in</h1>
<form method="post" action="/login"><input name="username"><input name="password" type="password"><button type="submit">Go</button></form>"""


def login_page(seen) -> Answer:
    """The application's own password login: it takes the word `right` of anybody."""
    html = [("content-type", "text/html")]
    if seen.method != "POST":
        return Answer(200, html, LOGIN_FORM)
    if dict(pairs(seen.body)).get("password") == "right":
        return Answer(302, [("location", "/reports"), ("set-cookie", "app_session=1; Path=/")])
    return Answer(401, html, b"<!doctype html><title>No</title><h1>Wrong password</h1>")


def report(seen) -> Answer:
    told = {name: value for name, value in seen.headers if name.startswith("x-sso-")}
    page = f"""<!doctype html><title>Reports</title><h1>Reports</h1><p>user={told.get("x-sso-user")}</p>
<p>method={told.get("x-sso-method")}</p>"""
    return Answer(200, [("content-type", "text/html")], page.encode())
