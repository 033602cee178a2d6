"""Settings and runner under which Django's own tests run."""

import os

from django.test.runner import DiscoverRunner

from recorder import RecordingResult

DATABASES = {
    alias: {
        "ENGINE": "django.db.backends.mysql", "HOST": "127.0.0.1", "PORT": os.environ["CONFORMANCE_PORT"],
        "USER": "root", "NAME": name, "TEST": {"CHARSET": "utf8mb4", "COLLATION": "utf8mb4_general_ci"},
    }
    for alias, name in (("default", "django"), ("other", "django_other"))
}
SECRET_KEY = "not secret"
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
DEFAULT_AUTO_FIELD = "django.db.models.AutoField"
USE_TZ = False
TEST_RUNNER = "conformance_django.Runner"


class Runner(DiscoverRunner):
    """Records each test."""

    def get_resultclass(self):
        return RecordingResult
