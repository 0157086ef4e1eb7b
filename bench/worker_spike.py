"""A benchmark worker that requests the same token from Spike: reads jobs from stdin, prints "ok" when one is
done.

usage: worker_spike.py URL
"""

import sys

import tokenstore


def main():
    spike = tokenstore.Spike(sys.argv[1], "client", "secret", token_format="opaque")
    get_token = spike.get_token
    for line in sys.stdin:
        for _ in range(int(line.split()[1])):
            get_token("https://api.example")
        print("ok", flush=True)
    spike.close()


if __name__ == "__main__":
    main()
