# SPDX-License-Identifier: Apache-2.0
# The images of both programs, for those who build with an engine; `make image` makes the same ones without.
#   docker build --target agent    -t secrets-agent .
#   docker build --target injector -t secrets-injector .
FROM debian:bookworm AS build
RUN apt-get update -qq && apt-get install -y -qq --no-install-recommends make git python3
COPY . /src
WORKDIR /src
RUN make static && for name in agent injector; do \
		install -d /$name/etc/$name /$name/run && install -d -m 1777 /$name/tmp \
		&& install -D -m 0755 build/static/$name/$name /$name/bin/$name \
		&& install -D -m 0444 /etc/ssl/certs/ca-certificates.crt /$name/etc/ssl/certs/ca-certificates.crt || exit 1; \
	done

FROM scratch AS injector
COPY --from=build /injector/ /
LABEL org.opencontainers.image.licenses=Apache-2.0
USER 65532:65532
ENTRYPOINT ["/bin/injector"]
CMD ["serve"]

# Last, so that it is what a build without --target makes.
FROM scratch AS agent
COPY --from=build /agent/ /
LABEL org.opencontainers.image.licenses=Apache-2.0
USER 65532:65532
ENTRYPOINT ["/bin/agent"]
CMD ["serve"]
