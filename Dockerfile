# One image with everything: the hub, its dashboard, the vendor's libraries and the simulated one.
#
#   docker build -t mdhub --build-arg REVISION="$(git rev-parse HEAD)" .
#   docker run --rm -p 127.0.0.1:8080:8080 -p 127.0.0.1:5555:5555 mdhub demo
#
# Nobody grants redistribution of the vendor's libraries: keep an image that holds them to yourself.

FROM rust:1.95-bookworm AS hub
WORKDIR /build
# The dependencies alone, in a layer that stays until a manifest changes: every crate is an empty one for as long.
COPY Cargo.toml Cargo.lock ./
COPY alerts/Cargo.toml alerts/
COPY benches/Cargo.toml benches/
COPY feed/Cargo.toml feed/
COPY gateways/Cargo.toml gateways/
COPY gateways/simapi/Cargo.toml gateways/simapi/
COPY reconciler/Cargo.toml reconciler/
COPY spec/Cargo.toml spec/
COPY store/Cargo.toml store/
COPY web/api/Cargo.toml web/api/
RUN set -eu; \
    for crate in . alerts benches feed gateways gateways/simapi reconciler spec store web/api; do \
        mkdir -p "$crate/src"; \
        echo '//! Nothing yet.' | tee "$crate/src/lib.rs" >"$crate/src/main.rs"; \
        echo 'fn main() {}' >>"$crate/src/main.rs"; \
    done; \
    cargo build --locked --profile dist -p mdhub -p mdhub-simapi; \
    for crate in . alerts benches feed gateways gateways/simapi reconciler spec store web/api; do rm -r "$crate/src"; done
COPY alerts alerts
COPY benches benches
COPY feed feed
COPY gateways gateways
COPY migrations migrations
COPY reconciler reconciler
COPY spec spec
COPY src src
COPY store store
COPY web/api web/api
# Cargo goes by the times of files, and those of the sources are older than what was built of the empty ones.
RUN find . -path ./target -prune -o -name '*.rs' -exec touch {} + \
    && cargo build --locked --profile dist -p mdhub -p mdhub-simapi


FROM node:20-bookworm-slim AS dashboard
WORKDIR /build
COPY package.json package-lock.json ./
COPY web/dashboard/package.json web/dashboard/
RUN npm ci --no-progress --no-audit --no-fund
COPY web/dashboard web/dashboard
RUN npm run build --workspace web/dashboard


FROM debian:bookworm-slim AS libraries
RUN apt-get update \
    && apt-get install -y --no-install-recommends ca-certificates locales python3-pip \
    && rm -rf /var/lib/apt/lists/*
# The vendor's libraries answer in GB18030, and ask the C library for it by this name.
RUN localedef --no-archive -i zh_CN -f GB18030 /zh_CN.GB18030
WORKDIR /build
COPY gateways/vendor.sh gateways/
RUN gateways/vendor.sh


FROM debian:bookworm-slim
RUN apt-get update \
    && apt-get install -y --no-install-recommends ca-certificates libstdc++6 tini \
    && rm -rf /var/lib/apt/lists/* /var/cache/apt /var/cache/debconf/*-old /var/log/apt /var/log/dpkg.log \
    && groupadd --system --gid 10001 mdhub \
    && useradd --system --uid 10001 --gid 10001 --no-create-home --home-dir /var/lib/mdhub --shell /usr/sbin/nologin mdhub \
    && install -d -m 0700 -o 10001 -g 10001 /var/lib/mdhub /var/lib/mdhub/flow /var/lib/mdhub/lock
COPY --from=libraries /zh_CN.GB18030 /usr/lib/locale/zh_CN.gb18030
COPY --from=libraries /build/vendor /usr/local/lib/mdhub
COPY --from=dashboard /build/web/dashboard/out /usr/local/share/mdhub/dashboard
COPY --from=hub /build/target/dist/mdhub /build/target/dist/libmdhub_simapi.so /usr/local/bin/
COPY deploy/mdhub.yaml /etc/mdhub/mdhub.yaml

# A label that differs from what `mdhub --version` says does not build.
ARG VERSION=0.1.0
ARG REVISION=unknown
RUN test "$(mdhub --version)" = "mdhub $VERSION"
LABEL org.opencontainers.image.title="mdhub" \
    org.opencontainers.image.description="Local high-availability market data hub for Chinese futures and options" \
    org.opencontainers.image.licenses="MIT OR Apache-2.0" \
    org.opencontainers.image.version="$VERSION" \
    org.opencontainers.image.revision="$REVISION"

# Listening everywhere is meant within the container alone: compose.yaml says what of it the host lets out.
ENV MDHUB_CONFIG=/etc/mdhub/mdhub.yaml \
    MDHUB_DATA_DIR=/var/lib/mdhub \
    MDHUB_HTTP=0.0.0.0:8080 \
    MDHUB_ZMQ=tcp://0.0.0.0:5555
USER 10001:10001
WORKDIR /var/lib/mdhub
VOLUME /var/lib/mdhub
EXPOSE 8080 5555
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=3 CMD ["mdhub", "health"]
ENTRYPOINT ["tini", "--", "mdhub"]
CMD ["run"]
