# API, worker and sandbox in one image; the command chooses: `order-engine api`, `order-engine worker`.
FROM python:3.11-slim-bookworm AS build
WORKDIR /src
RUN python -m venv /opt/order-engine
COPY requirements/run.txt requirements/
RUN /opt/order-engine/bin/pip install --no-cache-dir --require-hashes --requirement requirements/run.txt
COPY . .
RUN /opt/order-engine/bin/pip install --no-cache-dir --no-deps .

FROM python:3.11-slim-bookworm
RUN useradd --system --uid 10001 --create-home --home-dir /var/lib/order-engine order-engine
COPY --from=build /opt/order-engine /opt/order-engine
ENV PATH=/opt/order-engine/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    ORDER_ENGINE_DATA_DIR=/var/lib/order-engine \
    ORDER_ENGINE_LOG_FORMAT=json
USER 10001
WORKDIR /var/lib/order-engine
# The exec form, so that SIGTERM reaches the process and it can finish what it has in hand.
ENTRYPOINT ["order-engine"]
CMD ["--help"]
