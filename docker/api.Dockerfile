# Image of the API, the reaper and the operator's commands, without ffmpeg. The API converts OBJ scans with Blender.
# Build in the root of the checkout: docker build --file docker/api.Dockerfile --tag plinth-api .

FROM python:3.11-slim-bookworm AS packages
WORKDIR /opt/plinth
COPY requirements.lock ./
RUN python -m venv .venv \
    && .venv/bin/python -m pip install --quiet --no-cache-dir --disable-pip-version-check --require-hashes -r requirements.lock
COPY pyproject.toml ./
# Developer tools are removed again. The API does not need ffmpeg.
RUN .venv/bin/python -c "import tomllib; print(*tomllib.load(open('pyproject.toml', 'rb'))['project']['optional-dependencies']['dev'], sep='\n')" > tools.txt \
    && .venv/bin/python -m pip uninstall --quiet --yes -r tools.txt imageio-ffmpeg

FROM python:3.11-slim-bookworm
# tini, as process 1, reaps orphaned processes.
COPY docker/system-libraries /tmp/
RUN /tmp/system-libraries tini \
    && rm -rf /var/lib/apt/lists/* /tmp/system-libraries \
    && useradd --uid 10001 --home-dir /data --create-home plinth \
    && chmod 700 /data
WORKDIR /opt/plinth
COPY --from=packages /opt/plinth/.venv .venv
COPY . .
RUN .venv/bin/python -m pip install --quiet --no-cache-dir --disable-pip-version-check --no-deps --no-build-isolation \
        --editable . --editable clients/python

ENV PATH=/opt/plinth/.venv/bin:$PATH \
    FARM_DATA=/data \
    FARM_HOST=0.0.0.0 \
    FARM_PORT=8000
USER 10001
VOLUME /data
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8000/v1/health', timeout=4)"]
ENTRYPOINT ["tini", "--"]
CMD ["farm", "serve"]
