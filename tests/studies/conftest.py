"""What the reports of studies are tested on: the results folders of `tests.views`."""

from tests.views.conftest import *  # noqa: F403
