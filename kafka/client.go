package kafka

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/rs/zerolog"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/sasl"
	"github.com/twmb/franz-go/pkg/sasl/plain"
	"github.com/twmb/franz-go/pkg/sasl/scram"
	"github.com/twmb/franz-go/plugin/kzerolog"

	"vigil/config"
)

// Options are the client options that every client of vigil shares: brokers, identity, security, logs. It errs on a
// property it cannot follow.
func Options(cfg config.Config, log zerolog.Logger) ([]kgo.Opt, error) {
	quiet := log.Level(max(log.GetLevel(), zerolog.WarnLevel))
	opts := []kgo.Opt{
		kgo.SeedBrokers(cfg.Kafka.Brokers...),
		kgo.ClientID("vigil-" + cfg.Instance),
		kgo.WithLogger(kzerolog.New(&quiet)),
	}
	p := properties(cfg.Kafka.Properties)
	var errs []error
	for _, name := range slices.Sorted(maps.Keys(p)) {
		make, ok := translations[name]
		if !ok {
			if !security[name] {
				errs = append(errs, fmt.Errorf("kafka.properties.%s: not a property that vigil knows", name))
			}
			continue
		}
		opt, err := make(p[name])
		if err != nil {
			errs = append(errs, fmt.Errorf("kafka.properties.%s: %w", name, err))
			continue
		}
		opts = append(opts, opt)
	}
	secure, err := p.security()
	if err != nil {
		errs = append(errs, err)
	}
	return append(opts, secure...), errors.Join(errs...)
}

type properties map[string]string

// translations turn a property into an option of franz-go.
var translations = map[string]func(string) (kgo.Opt, error){
	"bootstrap.servers": func(v string) (kgo.Opt, error) { return kgo.SeedBrokers(strings.Split(v, ",")...), nil },
	"client.id":         func(v string) (kgo.Opt, error) { return kgo.ClientID(v), nil },
	"linger.ms":         millis(func(d time.Duration) kgo.Opt { return kgo.ProducerLinger(d) }),
	"request.timeout.ms": millis(func(d time.Duration) kgo.Opt {
		return kgo.RequestTimeoutOverhead(d)
	}),
	"session.timeout.ms":        millis(func(d time.Duration) kgo.Opt { return kgo.SessionTimeout(d) }),
	"heartbeat.interval.ms":     millis(func(d time.Duration) kgo.Opt { return kgo.HeartbeatInterval(d) }),
	"transaction.timeout.ms":    millis(func(d time.Duration) kgo.Opt { return kgo.TransactionTimeout(d) }),
	"fetch.wait.max.ms":         millis(func(d time.Duration) kgo.Opt { return kgo.FetchMaxWait(d) }),
	"fetch.max.bytes":           number(func(n int32) kgo.Opt { return kgo.FetchMaxBytes(n) }),
	"fetch.min.bytes":           number(func(n int32) kgo.Opt { return kgo.FetchMinBytes(n) }),
	"max.partition.fetch.bytes": number(func(n int32) kgo.Opt { return kgo.FetchMaxPartitionBytes(n) }),
	"compression.type":          compression,
}

// security are the properties that make options together.
var security = map[string]bool{
	"security.protocol": true, "sasl.mechanism": true, "sasl.mechanisms": true, "sasl.username": true, "sasl.password": true,
	"ssl.ca.location": true, "ssl.certificate.location": true, "ssl.key.location": true,
	"ssl.endpoint.identification.algorithm": true,
}

func millis(option func(time.Duration) kgo.Opt) func(string) (kgo.Opt, error) {
	return func(v string) (kgo.Opt, error) {
		n, err := strconv.ParseInt(v, 10, 32)
		if err != nil {
			return nil, fmt.Errorf("%q is no number of milliseconds", v)
		}
		return option(time.Duration(n) * time.Millisecond), nil
	}
}

func number(option func(int32) kgo.Opt) func(string) (kgo.Opt, error) {
	return func(v string) (kgo.Opt, error) {
		n, err := strconv.ParseInt(v, 10, 32)
		if err != nil {
			return nil, fmt.Errorf("%q is no number", v)
		}
		return option(int32(n)), nil
	}
}

func compression(v string) (kgo.Opt, error) {
	codecs := map[string]kgo.CompressionCodec{
		"none": kgo.NoCompression(), "gzip": kgo.GzipCompression(), "snappy": kgo.SnappyCompression(),
		"lz4": kgo.Lz4Compression(), "zstd": kgo.ZstdCompression(),
	}
	codec, ok := codecs[v]
	if !ok {
		return nil, fmt.Errorf("%q is none of none, gzip, snappy, lz4, zstd", v)
	}
	return kgo.ProducerBatchCompression(codec), nil
}

// security gives the options for TLS and SASL.
func (p properties) security() ([]kgo.Opt, error) {
	protocol := strings.ToUpper(p["security.protocol"])
	var opts []kgo.Opt
	switch protocol {
	case "", "PLAINTEXT", "SASL_PLAINTEXT":
	case "SSL", "SASL_SSL":
		conf, err := p.tls()
		if err != nil {
			return nil, err
		}
		opts = append(opts, kgo.DialTLSConfig(conf))
	default:
		return nil, fmt.Errorf("kafka.properties.security.protocol: %q is none of PLAINTEXT, SSL, SASL_PLAINTEXT, SASL_SSL", protocol)
	}
	if !strings.HasPrefix(protocol, "SASL") {
		return opts, nil
	}
	mechanism, err := p.sasl()
	if err != nil {
		return nil, err
	}
	return append(opts, kgo.SASL(mechanism)), nil
}

func (p properties) sasl() (sasl.Mechanism, error) {
	user, password := p["sasl.username"], p["sasl.password"]
	name := p["sasl.mechanism"]
	if name == "" {
		name = p["sasl.mechanisms"]
	}
	switch strings.ToUpper(name) {
	case "", "PLAIN":
		return plain.Auth{User: user, Pass: password}.AsMechanism(), nil
	case "SCRAM-SHA-256":
		return scram.Auth{User: user, Pass: password}.AsSha256Mechanism(), nil
	case "SCRAM-SHA-512":
		return scram.Auth{User: user, Pass: password}.AsSha512Mechanism(), nil
	default:
		return nil, fmt.Errorf("kafka.properties.sasl.mechanism: %q is none of PLAIN, SCRAM-SHA-256, SCRAM-SHA-512", name)
	}
}

func (p properties) tls() (*tls.Config, error) {
	conf := &tls.Config{MinVersion: tls.VersionTLS12}
	if file := p["ssl.ca.location"]; file != "" {
		pem, err := os.ReadFile(file)
		if err != nil {
			return nil, fmt.Errorf("kafka.properties.ssl.ca.location: %w", err)
		}
		conf.RootCAs = x509.NewCertPool()
		if !conf.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("kafka.properties.ssl.ca.location: no certificate in %s", file)
		}
	}
	if cert, key := p["ssl.certificate.location"], p["ssl.key.location"]; cert != "" || key != "" {
		pair, err := tls.LoadX509KeyPair(cert, key)
		if err != nil {
			return nil, fmt.Errorf("kafka.properties.ssl.certificate.location: %w", err)
		}
		conf.Certificates = []tls.Certificate{pair}
	}
	if p["ssl.endpoint.identification.algorithm"] == "none" {
		conf.InsecureSkipVerify = true // what the operator asked for by that name
	}
	return conf, nil
}
