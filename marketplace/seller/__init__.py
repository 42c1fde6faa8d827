"""The Seller, as the engine sees it. The only package that knows VTEX's wire."""
