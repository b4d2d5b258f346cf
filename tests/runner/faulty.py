"""`python -m tests.runner.faulty ...`: as ctrbench, but process 1 is killed while it trains."""

import os
import signal

from ctrbench import training
from ctrbench.cli import main


class Fatal(training._Curve):
    def close(self, impressions):
        if os.environ["RANK"] == "1" and self.points:
            os.kill(os.getpid(), signal.SIGKILL)
        super().close(impressions)


if __name__ == "__main__":
    training._Curve = Fatal
    main()
