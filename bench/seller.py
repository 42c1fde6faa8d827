"""A sandbox Seller with as many SKUs as asked for, as a process of its own: `python -m bench.seller PORT SKUS NAME`.

The name is for whoever looks at the list of processes.
"""

import sys

from sandbox.catalog import numbered_skus
from sandbox.config import SandboxConfig
from sandbox.server import serve

if __name__ == "__main__":
    serve(SandboxConfig(skus=numbered_skus(int(sys.argv[2]))), port=int(sys.argv[1]))
