# API, worker and sandbox in one image; the command chooses: `order-engine api`, `order-engine worker`.
FROM python:3.11.14-slim-bookworm AS build
WORKDIR /src
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 \
    PIP_NO_CACHE_DIR=1
RUN python -m venv /opt/order-engine
COPY requirements requirements
RUN /opt/order-engine/bin/pip install --require-hashes --requirement requirements/run.txt
COPY . .
# The build tool too in the locked version: into an environment of its own, which pip throws away.
RUN sed -n 's/^\([a-z0-9-]*==[^ ;]*\).*/\1/p' requirements/dev.txt > /tmp/versions.txt \
    && PIP_CONSTRAINT=/tmp/versions.txt /opt/order-engine/bin/pip install --no-deps .

FROM python:3.11.14-slim-bookworm
LABEL org.opencontainers.image.title="Marketplace order engine" \
      org.opencontainers.image.description="API, worker and sandbox Seller"
RUN useradd --system --no-log-init --uid 10001 --user-group --home-dir /var/lib/order-engine --create-home order-engine
COPY --from=build /opt/order-engine /opt/order-engine
ENV PATH=/opt/order-engine/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    ORDER_ENGINE_DATA_DIR=/var/lib/order-engine \
    ORDER_ENGINE_LOG_FORMAT=json
USER 10001:10001
WORKDIR /var/lib/order-engine
# The exec form, so that SIGTERM reaches the process and it can finish what it has in hand.
ENTRYPOINT ["order-engine"]
CMD ["--help"]
