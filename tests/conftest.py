"""For every suite."""

import signal

# A shell starts what runs in the background with SIGINT ignored, which all programs hand on; but tests send it.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
