# SPDX-License-Identifier: Apache-2.0
# The agent's image, for those who build with an engine; `make image` makes the same one without.
FROM debian:bookworm AS build
RUN apt-get update -qq && apt-get install -y -qq --no-install-recommends make git python3
COPY . /src
WORKDIR /src
RUN make static && mkdir -p /root-of-image/etc/agent /root-of-image/run /root-of-image/tmp \
	&& install -D build/static/agent/agent /root-of-image/bin/agent \
	&& install -D /etc/ssl/certs/ca-certificates.crt /root-of-image/etc/ssl/certs/ca-certificates.crt

FROM scratch
COPY --from=build /root-of-image/ /
USER 65532:65532
ENTRYPOINT ["/bin/agent"]
CMD ["serve"]
