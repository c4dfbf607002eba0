# Two ways to the same image: nothing but the binary, certificates and a folder for the state.
#   docker build -t vigil .                  builds the binary here (the last stage)
#   make image                               takes one that is built already and pulls nothing (stage `local`)
# The old builder runs every stage up to the one it wants, so `local` comes first.
ARG GO_VERSION=1.26

FROM scratch AS local
COPY bin/image/vigil /vigil
COPY bin/image/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY --chown=65532:65532 bin/image/vigil-data /vigil-data
WORKDIR /
USER 65532:65532
VOLUME /vigil-data
ENTRYPOINT ["/vigil"]
CMD ["run"]

FROM golang:${GO_VERSION} AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
ARG VERSION=dev
RUN mkdir /vigil-data && \
    CGO_ENABLED=0 go build -pgo=bench/vigil.pgo -trimpath -tags timetzdata -ldflags "-s -w -X main.version=${VERSION}" -o /vigil ./cmd/vigil

FROM scratch AS vigil
COPY --from=build /vigil /vigil
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY --from=build --chown=65532:65532 /vigil-data /vigil-data
WORKDIR /
USER 65532:65532
VOLUME /vigil-data
ENTRYPOINT ["/vigil"]
CMD ["run"]
