"""Follows logins as a browser does."""

import http.client
from urllib.parse import urlencode, urljoin, urlsplit


class Browser:
    """Follows one login; keeps the cookies of localhost and its connections."""

    def __init__(self):
        self.jar = {}
        self.connections = {}

    def get(self, url, form=None, **headers):
        target = urlsplit(url)
        connection = self.connections.setdefault(target.netloc, http.client.HTTPConnection("127.0.0.1", target.port, timeout=60))
        send = {"host": target.netloc, "accept": "text/html", "sec-fetch-mode": "navigate", "sec-fetch-dest": "document", **headers}
        if target.hostname == "localhost" and self.jar:
            send["cookie"] = self.cookies()
        body = form and urlencode(form)
        if form:
            send |= {"content-type": "application/x-www-form-urlencoded", "sec-fetch-site": "cross-site"}
        connection.request("POST" if form else "GET", target.path + ("?" + target.query if target.query else ""), body, send)
        response = connection.getresponse()
        body = response.read()
        for name, value in response.getheaders():
            if name.lower() == "set-cookie":
                key, _, rest = value.partition("=")
                content = rest.split(";")[0]
                if content and content != "deleted" and "max-age=0" not in value.lower():
                    self.jar[key] = content
                else:
                    self.jar.pop(key, None)
        return response.status, response.getheader("location"), body

    def login(self, url):
        """In, by every redirect; the status of the page asked for at last."""
        for _ in range(8):
            status, location, body = self.get(url)
            if status not in (302, 303):
                return status, body
            url = urljoin(url, location)
        raise RuntimeError("a redirect loop")

    def cookies(self):
        return "; ".join(f"{name}={value}" for name, value in self.jar.items())
