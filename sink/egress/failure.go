package egress

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"strings"
	"syscall"

	"vigil/sink/core"
	"vigil/sink/guard"
	"vigil/webhook"
)

// buildError says why a request cannot be made at all; code is the dead letter's.
type buildError struct{ code, why string }

// Error implements error.
func (e *buildError) Error() string { return e.why }

// CodeTimeout is the code of an attempt that the endpoint's timeout ended.
const CodeTimeout = "timeout"

// failure is what an error means.
type failure struct {
	class core.Class
	code  string // also the label of the metric
	told  bool   // what was said may be shown to the owner of the URL
}

// failed is the answer of an attempt that got none.
func failed(err error) core.Answer {
	f := classify(err)
	a := core.Answer{Failed: true, Class: f.class, Code: f.code, Reason: f.code, Err: err}
	if f.told {
		a.Reason = core.Cut(f.code+": "+err.Error(), webhook.MaxReasonBytes)
	}
	return a
}

// Codes are all that classify gives, for the metric.
func Codes() []string {
	return []string{
		core.CodeURL, core.CodeHeader, core.CodeBlocked, "stopped", "no_descriptors", "dns_not_found",
		"dns_unreachable", "dns_failure", "proxy", CodeTimeout, "refused", "unreachable", "reset", "tls", "token", "eof", "malformed",
	}
}

// classify says what an error of an attempt means (delivery 3). The order matters: a blocked or refused dial is wrapped
// in the same *net.OpError as a slow one.
func classify(err error) failure {
	var blocked *guard.BlockedError
	var dns *net.DNSError
	var invalid *buildError
	var host *guard.HostError
	var token *tokenError
	var hop *guard.ProxyError
	var far *guard.TunnelError
	var silent *guard.ResolverError
	switch {
	case errors.As(err, &invalid):
		return failure{core.Permanent, invalid.code, true}
	case errors.As(err, &host):
		return failure{core.Permanent, core.CodeURL, true}
	case errors.As(err, &blocked):
		return failure{core.Permanent, core.CodeBlocked, true}
	case errors.As(err, &token):
		return failure{core.Retryable, "token", true}
	case errors.As(err, &hop):
		return failure{core.Ours, "proxy", false}
	case errors.As(err, &far):
		return failure{core.Retryable, "unreachable", true}
	case errors.As(err, &silent):
		return failure{core.Ours, "dns_unreachable", false}
	case errors.Is(err, context.Canceled):
		return failure{core.Ours, "stopped", false}
	case errors.Is(err, syscall.EMFILE), errors.Is(err, syscall.ENFILE), errors.Is(err, syscall.EADDRNOTAVAIL):
		return failure{core.Ours, "no_descriptors", false}
	case errors.As(err, &dns):
		return classifyDNS(dns)
	case isTimeout(err):
		return failure{core.Retryable, CodeTimeout, false}
	case errors.Is(err, syscall.ECONNREFUSED):
		return failure{core.Retryable, "refused", false}
	case errors.Is(err, syscall.EHOSTUNREACH), errors.Is(err, syscall.ENETUNREACH):
		return failure{core.Retryable, "unreachable", false}
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		return failure{core.Retryable, "reset", false}
	case isTLS(err):
		return failure{core.Retryable, "tls", true}
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), strings.Contains(err.Error(), "server closed idle connection"):
		return failure{core.Retryable, "eof", false}
	}
	return failure{core.Retryable, "malformed", true}
}

// classifyDNS tells a name that does not resolve from a resolver of ours that cannot be reached.
func classifyDNS(err *net.DNSError) failure {
	code := guard.Ours(err)
	switch {
	case err.IsNotFound:
		return failure{core.Retryable, "dns_not_found", false}
	case code != "":
		return failure{core.Ours, code, false}
	}
	return failure{core.Retryable, "dns_failure", false}
}

func isTimeout(err error) bool {
	var timeout interface{ Timeout() bool }
	return errors.Is(err, context.DeadlineExceeded) || errors.As(err, &timeout) && timeout.Timeout()
}

func isTLS(err error) bool {
	var header tls.RecordHeaderError
	var alert tls.AlertError
	var cert *tls.CertificateVerificationError
	var unknown x509.UnknownAuthorityError
	var host x509.HostnameError
	var invalid x509.CertificateInvalidError
	return errors.As(err, &header) || errors.As(err, &alert) || errors.As(err, &cert) || errors.As(err, &unknown) ||
		errors.As(err, &host) || errors.As(err, &invalid) || strings.Contains(err.Error(), "tls: ") ||
		strings.Contains(err.Error(), "server gave HTTP response to HTTPS client")
}
