"""dj-rest-auth, whose login also takes an email address in the place of the username. `python dj_rest_auth_app.py PORT DIRECTORY`"""

import sys
from wsgiref.simple_server import WSGIRequestHandler, make_server

import django
from django.conf import settings

PORT, DIRECTORY = int(sys.argv[1]), sys.argv[2]
settings.configure(
    SECRET_KEY="for tests alone", ALLOWED_HOSTS=["*"], ROOT_URLCONF=__name__, DEFAULT_AUTO_FIELD="django.db.models.AutoField",
    INSTALLED_APPS=["django.contrib.contenttypes", "django.contrib.auth", "rest_framework", "rest_framework.authtoken", "dj_rest_auth"],
    MIDDLEWARE=["django.contrib.sessions.middleware.SessionMiddleware", "django.contrib.auth.middleware.AuthenticationMiddleware"],
    SESSION_ENGINE="django.contrib.sessions.backends.signed_cookies", PASSWORD_HASHERS=["django.contrib.auth.hashers.MD5PasswordHasher"],
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": f"{DIRECTORY}/db"}})
django.setup()

from django.contrib.auth.models import User  # noqa: E402
from django.core.management import call_command  # noqa: E402
from django.core.wsgi import get_wsgi_application  # noqa: E402
from django.http import HttpResponse  # noqa: E402
from django.urls import include, path  # noqa: E402

urlpatterns = [path("auth/", include("dj_rest_auth.urls")), path("me", lambda request: HttpResponse(request.user.username)),
               path("who", lambda request: HttpResponse(request.headers.get("x-sso-user", "")))]


class Quiet(WSGIRequestHandler):
    def log_message(self, *_):
        pass


call_command("migrate", verbosity=0)
for name in ("root", "ada", "renée"):
    User.objects.create_user(name, email=f"{name}@acme.com", password="right")
make_server("127.0.0.1", PORT, get_wsgi_application(), handler_class=Quiet).serve_forever()
