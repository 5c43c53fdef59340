# subactors for machines that are not Linux, and for servers. `docker compose build`; see docs/containers.md.
#
# Two stages: the sources and what building leaves stay behind, and the image has the environment alone.

FROM python:3.13-slim AS build
WORKDIR /source
COPY pyproject.toml README.md LICENSE ./
COPY actors ./actors
COPY runtime ./runtime
RUN python -m venv /opt/subactors \
 && /opt/subactors/bin/pip install --no-cache-dir .

FROM python:3.13-slim
# git: worktrees of agents (`workdir: worktree`).
RUN apt-get update \
 && apt-get install --yes --no-install-recommends git \
 && rm -rf /var/lib/apt/lists/* \
 && useradd --create-home --uid 1000 subactors \
 && install --directory --mode 1777 /state \
 && install --directory --owner subactors /work
COPY --from=build /opt/subactors /opt/subactors
COPY tools/in_container.sh /usr/local/bin/in_container
ENV PATH=/opt/subactors/bin:$PATH \
    SUBACTORS_STATE_DIR=/state/1000 \
    PYTHONUNBUFFERED=1
USER subactors
WORKDIR /work
VOLUME /state
ENTRYPOINT ["in_container"]
CMD ["--help"]
