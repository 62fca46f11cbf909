# The daemon, the pipelines and the tools in one image. RocksDB is compiled from its crate and linked statically: the
# build runs from another directory than the checkout, whose .cargo/config.toml would link a ready-made library.
FROM rust:1.95-bookworm AS build
RUN apt-get update \
    && apt-get install -y --no-install-recommends libclang-dev libssl-dev pkg-config zlib1g-dev \
    && rm -rf /var/lib/apt/lists/*
COPY . /source
RUN --mount=type=cache,target=/usr/local/cargo/registry --mount=type=cache,target=/target \
    cd / && cargo build --release --locked --manifest-path /source/Cargo.toml --target-dir /target \
    && cp /target/release/afterimage /usr/local/bin/afterimage

FROM debian:bookworm-slim
RUN apt-get update \
    && apt-get install -y --no-install-recommends ca-certificates curl libssl3 libstdc++6 zlib1g \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --system --home-dir /var/lib/afterimage --create-home afterimage
COPY --from=build /usr/local/bin/afterimage /usr/local/bin/afterimage
COPY LICENSE /usr/share/doc/afterimage/LICENSE
COPY examples /usr/share/doc/afterimage/examples
USER afterimage
WORKDIR /var/lib/afterimage
ENV STATE_DIRECTORY=/var/lib/afterimage
EXPOSE 8083 8086 19090
ENTRYPOINT ["/usr/local/bin/afterimage"]
CMD ["--help"]
