# The webhook's image. It runs as a numeric user on a read-only root file system:
#   docker build -t kubectl-ml-webhook .
#   docker run --read-only --tmpfs /certs:uid=65532 -p 9443:9443 kubectl-ml-webhook --offline --self-signed /certs

FROM python:3.13-slim AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
WORKDIR /src

# Dependencies first: this layer lives as long as the lock files.
COPY requirements.lock requirements-build.lock ./
RUN python -m venv /build \
 && /build/bin/pip install --require-hashes -r requirements-build.lock \
 && python -m venv --without-pip /opt/kubectl-ml \
 && /build/bin/pip --python /opt/kubectl-ml/bin/python install --require-hashes -r requirements.lock

COPY pyproject.toml README.md LICENSE ./
COPY policies policies
COPY webhook webhook
COPY kubectl_ml kubectl_ml
RUN /build/bin/python -m hatchling build --target wheel --directory /dist \
 && /build/bin/pip --python /opt/kubectl-ml/bin/python install --no-deps --no-index /dist/*.whl \
 && /opt/kubectl-ml/bin/python -m compileall -q /opt/kubectl-ml/lib

FROM python:3.13-slim
LABEL org.opencontainers.image.title="kubectl-ml webhook" \
      org.opencontainers.image.description="Say what an ML workload needs; the cluster's policies say how" \
      org.opencontainers.image.licenses="Apache-2.0"
# Bytecode was compiled above, so nothing needs to be written at run time.
ENV PATH=/opt/kubectl-ml/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    KUBECTL_ML_LISTEN=0.0.0.0:9443 \
    KUBECTL_ML_METRICS_LISTEN=0.0.0.0:9090
COPY --from=build /opt/kubectl-ml /opt/kubectl-ml
USER 65532:65532
WORKDIR /tmp
EXPOSE 9443 9090
ENTRYPOINT ["python", "-m", "webhook"]
