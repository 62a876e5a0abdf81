# rootwright in a container.
#
#   docker build -t rootwright .
#   docker run --rm rootwright --help
#
# The store has to outlive the container, and must not lie on the container's own overlay file system, on which overlay
# cannot stack: give it a volume or a directory of the host.
#
# As root it needs SYS_ADMIN, to mount and to write overlay's attributes into layers; the other capabilities that give
# files their owners, devices and set-id bits are among Docker's defaults:
#
#   docker run --rm --cap-add SYS_ADMIN --security-opt apparmor=unconfined \
#     --mount type=bind,source=/var/lib/rootwright,target=/var/lib/rootwright,bind-propagation=rshared \
#     rootwright provision debian:12 --id web-1
#
# - The store is at the same path inside and outside, because a provisioned path is printed for use on the host.
# - bind-propagation=rshared carries the mounts out to the host; the directory must be a shared mount there
#   (mount --bind /var/lib/rootwright /var/lib/rootwright && mount --make-rshared /var/lib/rootwright).
# - As an ordinary user (--user 1000, and a store that this user may write) nothing is to be granted: images can be
#   pulled, looked into and copied; owners are recorded, not applied.
# - Registry credentials: -v ~/.docker/config.json:/root/.docker/config.json:ro

ARG DEBIAN=bookworm

# --- npm packages and the native parts ------------------------------------------------------------------------------
FROM node:24-${DEBIAN}-slim AS build
RUN apt-get update \
 && apt-get install -y --no-install-recommends gcc libc6-dev make \
 && rm -rf /var/lib/apt/lists/*
WORKDIR /opt/rootwright
# Packages change less often than sources: their layer is kept from build to build.
COPY package.json package-lock.json .npmrc ./
# No scripts: npm would compile better-sqlite3, which ships what it needs.
RUN npm ci --omit=dev --ignore-scripts --no-audit --no-fund
COPY native native
RUN make -C native && rm -rf native/build/*.o native/build/*.d native/build/check

# --- what runs ------------------------------------------------------------------------------------------------------
FROM node:24-${DEBIAN}-slim
LABEL org.opencontainers.image.title="rootwright" \
      org.opencontainers.image.description="Makes root filesystems from container images" \
      org.opencontainers.image.licenses="Apache-2.0"
ENV NODE_ENV=production \
    NODE_COMPILE_CACHE=/tmp/node-compile-cache
# TLS to registries uses Node's own certificates; those of the machine are added with NODE_EXTRA_CA_CERTS.
WORKDIR /opt/rootwright
COPY package.json ./
COPY --from=build /opt/rootwright/node_modules node_modules
COPY --from=build /opt/rootwright/native native
COPY store store
COPY src src
VOLUME /var/lib/rootwright
# Absolute paths: the working directory is the caller's to change.
ENTRYPOINT ["node", "/opt/rootwright/src/main.ts"]
CMD ["--help"]
