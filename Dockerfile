# pgforeman as a container: the daemon, the libraries it runs with, and nothing of its build.
#
#   docker build -t pgforeman .
#   docker run --read-only -e PGFOREMAN_DATABASE_URL=... -e PGFOREMAN_HANDLER=... pgforeman
#
# It has no handler of its own. An image with yours begins with FROM pgforeman (docs/operating.md).

FROM debian:bookworm-slim AS build
WORKDIR /src
# Before the sources: packages are installed again only when their list has changed.
COPY tools/install-deps tools/
RUN tools/install-deps build
COPY CMakeLists.txt CMakePresets.json ./
COPY include include
COPY src src
RUN cmake --preset release -DPGFOREMAN_TESTS=OFF \
 && cmake --build build/release --target pgforeman \
 && strip build/release/pgforeman

FROM debian:bookworm-slim
# What the binary links, and certificates for sslmode=verify-full.
RUN apt-get update \
 && apt-get install --yes --no-install-recommends ca-certificates \
      libboost-program-options1.74.0 libfmt9 libpq5 libpqxx-6.4 libprometheus-cpp-core1.0 \
      libspdlog1.10 \
 && rm -rf /var/lib/apt/lists/* /var/cache/apt/* /var/log/*
# libpq wants its user to have a name; Kubernetes wants a number to see that it is not root.
RUN groupadd --gid 10001 pgforeman \
 && useradd --uid 10001 --gid 10001 --home-dir / --no-create-home --shell /usr/sbin/nologin pgforeman
COPY --from=build /src/build/release/pgforeman /usr/local/bin/pgforeman
USER 10001:10001
# /livez, /readyz, /status, /metrics
EXPOSE 8080
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=5s --retries=3 CMD ["pgforeman", "health"]
# It is its own init: it reaps orphans, and its children end with it.
ENTRYPOINT ["pgforeman"]
CMD ["run"]
