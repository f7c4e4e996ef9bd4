# Image of a worker: Blender, ffmpeg, and OpenGL by NVIDIA's driver where present, otherwise by Mesa.
# Build in the root of the checkout: docker build --file docker/worker.Dockerfile --tag plinth-worker .

FROM python:3.11-slim-bookworm AS packages
WORKDIR /opt/plinth
COPY requirements.lock ./
RUN python -m venv .venv \
    && .venv/bin/python -m pip install --quiet --no-cache-dir --disable-pip-version-check --require-hashes -r requirements.lock
COPY pyproject.toml ./
# Developer tools are removed again.
RUN .venv/bin/python -c "import tomllib; print(*tomllib.load(open('pyproject.toml', 'rb'))['project']['optional-dependencies']['dev'], sep='\n')" > tools.txt \
    && .venv/bin/python -m pip uninstall --quiet --yes -r tools.txt

FROM python:3.11-slim-bookworm
# tini, as process 1, reaps orphaned processes.
COPY docker/system-libraries /tmp/
RUN /tmp/system-libraries tini \
    && rm -rf /var/lib/apt/lists/* /tmp/system-libraries \
    && useradd --uid 10001 --home-dir /data --create-home plinth \
    && chmod 700 /data
# libglvnd tries vendors in this order: NVIDIA's EGL, which the container toolkit mounts from the host, then Mesa's.
COPY docker/10_nvidia.json /usr/share/glvnd/egl_vendor.d/
WORKDIR /opt/plinth
COPY --from=packages /opt/plinth/.venv .venv
COPY . .
RUN .venv/bin/python -m pip install --quiet --no-cache-dir --disable-pip-version-check --no-deps --no-build-isolation \
        --editable . --editable clients/python

# With "all" the container toolkit mounts the graphics libraries too, not only CUDA's.
ENV PATH=/opt/plinth/.venv/bin:$PATH \
    FARM_DATA=/data \
    NVIDIA_DRIVER_CAPABILITIES=all
USER 10001
VOLUME /data
HEALTHCHECK --interval=60s --timeout=20s --start-period=180s \
    CMD ["python", "docker/worker-health"]
ENTRYPOINT ["tini", "--"]
CMD ["farm", "worker"]
