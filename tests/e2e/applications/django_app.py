"""Django's own LoginView. `python django_app.py PORT DIRECTORY`"""

import sys
from wsgiref.simple_server import WSGIRequestHandler, make_server

import django
from django.conf import settings


def without_csrf_tokens(answer):
    """The spellings of the test have no tokens, which would stop every one of them."""

    def middleware(request):
        request._dont_enforce_csrf_checks = True
        return answer(request)

    return middleware


PORT, DIRECTORY = int(sys.argv[1]), sys.argv[2]
settings.configure(
    SECRET_KEY="for tests alone", ALLOWED_HOSTS=["*"], ROOT_URLCONF=__name__, LOGIN_REDIRECT_URL="/me", DEFAULT_AUTO_FIELD="django.db.models.AutoField",
    INSTALLED_APPS=["django.contrib.contenttypes", "django.contrib.auth"],
    MIDDLEWARE=[f"{__name__}.without_csrf_tokens", "django.contrib.sessions.middleware.SessionMiddleware", "django.contrib.auth.middleware.AuthenticationMiddleware"],
    SESSION_ENGINE="django.contrib.sessions.backends.signed_cookies", PASSWORD_HASHERS=["django.contrib.auth.hashers.MD5PasswordHasher"],
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": f"{DIRECTORY}/db"}},
    TEMPLATES=[{"BACKEND": "django.template.backends.django.DjangoTemplates", "OPTIONS": {"loaders": [
        ("django.template.loaders.locmem.Loader", {"registration/login.html": "<form method=post>{{ form }}<button>Go</button></form>"})]}}])
django.setup()

from django.contrib.auth.models import User  # noqa: E402
from django.contrib.auth.views import LoginView  # noqa: E402
from django.core.management import call_command  # noqa: E402
from django.core.wsgi import get_wsgi_application  # noqa: E402
from django.http import HttpResponse  # noqa: E402
from django.urls import path  # noqa: E402

urlpatterns = [path("accounts/login/", LoginView.as_view()), path("me", lambda request: HttpResponse(request.user.username)),
               path("who", lambda request: HttpResponse(request.headers.get("x-sso-user", "")))]


class Quiet(WSGIRequestHandler):
    def log_message(self, *_):
        pass


call_command("migrate", verbosity=0)
for name in ("root", "ada", "renée"):
    User.objects.create_user(name, password="right")
make_server("127.0.0.1", PORT, get_wsgi_application(), handler_class=Quiet).serve_forever()
