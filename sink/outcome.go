package sink

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"strconv"
	"strings"
	"syscall"
	"time"

	"vigil/webhook"
)

// class is what an answer, or the lack of one, means for the delivery (delivery 3).
type class uint8

// The classes.
const (
	success   class = iota
	retryable       // another attempt may help
	permanent       // it will not
	ours            // our own fault: no attempt is spent
	abandoned       // cut off by our stop: nothing is known, nothing is recorded
)

// answer is what one attempt brought.
type answer struct {
	status     int   // 0: none
	err        error // why there was no status
	retryAfter string
	remote     string
	latency    time.Duration // to the end of the headers, or to the error
	body       string        // first bytes, printable, where allowed
}

// Codes of dead letters, as in x-reason-code and on the metric.
const (
	codePoison    = "poison"           // the record is no delivery
	codeRender    = "render_failed"    // the processor could not render it
	codeEndpoint  = "unknown_endpoint" // no endpoint has that name
	codeURL       = "bad_url"          // the URL cannot be requested
	codeHeader    = "bad_header"       // a header cannot be built
	codeBlocked   = "blocked"          // the egress policy forbids the address
	codePermanent = "permanent"        // the answer says that another attempt is useless
	codeExhausted = "exhausted"        // no attempt is left, or the next would come after expires_at
	codeExpired   = "expired"          // expires_at has passed
	codeCancelled = "cancelled"        // the campaign is stopped or gone
	codeTooLarge  = "record_too_large" // the broker does not take the record that would carry it on
)

// deadCodes lists them for the metric.
func deadCodes() []string {
	return []string{codePoison, codeRender, codeEndpoint, codeURL, codeHeader, codeBlocked, codePermanent, codeExhausted,
		codeExpired, codeCancelled, codeTooLarge}
}

// retryableStatus lists the statuses besides 5xx-like ranges that are worth another attempt.
func classifyStatus(status int) class {
	switch {
	case status >= 200 && status <= 299:
		return success
	case status < 100, status > 599, status < 200: // 1xx as a final answer is 101; 000 and 999 are no statuses
		return retryable
	case status >= 507 && status <= 511, status >= 520 && status <= 530:
		return retryable
	}
	switch status {
	case 408, 409, 421, 425, 429, 500, 502, 503, 504:
		return retryable
	}
	return permanent
}

// failure is why there was no answer; code is also the label of the metric.
type failure struct {
	class class
	code  string
}

// classifyError says what an error of the transport means. The order matters: a blocked or refused dial is wrapped in
// the same *net.OpError as a slow one.
func classifyError(err error) failure {
	var blocked *blockedError
	var dns *net.DNSError
	var invalid *buildError
	switch {
	case errors.As(err, &invalid):
		return failure{permanent, invalid.code}
	case errors.As(err, &blocked):
		return failure{permanent, codeBlocked}
	case errors.Is(err, syscall.EMFILE), errors.Is(err, syscall.ENFILE), errors.Is(err, syscall.EADDRNOTAVAIL):
		return failure{ours, "no_descriptors"}
	case errors.As(err, &dns):
		return classifyDNS(dns)
	case errors.Is(err, context.Canceled):
		return failure{abandoned, "stopped"}
	case isTimeout(err):
		return failure{retryable, "timeout"}
	case errors.Is(err, syscall.ECONNREFUSED):
		return failure{retryable, "refused"}
	case errors.Is(err, syscall.EHOSTUNREACH), errors.Is(err, syscall.ENETUNREACH):
		return failure{retryable, "unreachable"}
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		return failure{retryable, "reset"}
	case isTLS(err):
		return failure{retryable, "tls"}
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return failure{retryable, "eof"}
	}
	return failure{retryable, "malformed"}
}

// failureCodes lists the codes of classifyError for the metric, those of deadCodes apart.
func failureCodes() []string {
	return []string{"no_descriptors", "stopped", "timeout", "refused", "unreachable", "reset", "tls", "eof", "malformed",
		"dns_not_found", "dns_failure", "dns_unreachable"}
}

// classifyDNS tells a name that does not resolve from a resolver of ours that cannot be reached.
func classifyDNS(err *net.DNSError) failure {
	switch {
	case err.IsNotFound:
		return failure{retryable, "dns_not_found"}
	case strings.Contains(err.Err, "connection refused"), strings.Contains(err.Err, "unreachable"):
		return failure{ours, "dns_unreachable"}
	}
	return failure{retryable, "dns_failure"}
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
	var expired x509.CertificateInvalidError
	return errors.As(err, &header) || errors.As(err, &alert) || errors.As(err, &cert) || errors.As(err, &unknown) ||
		errors.As(err, &host) || errors.As(err, &expired) || strings.Contains(err.Error(), "tls: ") ||
		strings.Contains(err.Error(), "server gave HTTP response to HTTPS client")
}

// plan is what one attempt is judged by.
type plan struct {
	attempt int // the one just made, 1-based
	retries int
	delays  []time.Duration
	expires *time.Time
	now     time.Time
}

// fate is what becomes of a delivery now.
type fate struct {
	outcome  webhook.Outcome
	code     string     // of the dead letter, or of why it is parked
	reason   string     // for people, at most webhook.MaxReasonBytes
	attempts int        // made so far, this one included
	next     *time.Time // when it is tried again
	to       tier       // where it waits until then
	hold     *time.Time // until when the whole endpoint is held; nil: not at all
	answer   *answer    // nil where no attempt was made
}

// decide is the table of delivery 2 for what was in flight; ok is false where nothing is known and nothing recorded.
func decide(p plan, a *answer) (f fate, ok bool) {
	c, reason := judge(a)
	f = fate{attempts: p.attempt, reason: reason, answer: a}
	switch c {
	case abandoned:
		return f, false
	case success:
		f.outcome, f.reason = webhook.Delivered, ""
	case ours:
		at := roundUp(p.now.Add(shortPark))
		f.outcome, f.code, f.next, f.to, f.attempts = webhook.Parked, "infra", &at, tierShort, p.attempt-1
	case permanent:
		f.outcome, f.code = webhook.Dead, codePermanent
		if fail := a.err; fail != nil {
			f.code, f.attempts = classifyError(fail).code, p.attempt-1
		}
	case retryable:
		p.again(&f, a)
	}
	return f, true
}

// again is the retryable row: another attempt, unless none is left or it would come too late.
func (p plan) again(f *fate, a *answer) {
	f.outcome, f.code = webhook.Dead, codeExhausted
	delay := retryDelay(p.attempt, p.delays)
	if a.status == 429 || a.status == 503 {
		if asked, ok := retryAfter(a.retryAfter, p.now); ok {
			delay = clampRetryAfter(asked, delay)
			until := roundUp(p.now.Add(delay))
			f.hold = &until
		}
	}
	at := roundUp(p.now.Add(delay))
	if p.attempt > p.retries || p.expires != nil && at.After(*p.expires) {
		return
	}
	f.outcome, f.code, f.next, f.to = webhook.Retry, "", &at, retryTier(p.attempt, delay)
}

// judge is the class of an answer and its reason: http_503, or the failure's code and what was said, escaped and cut.
func judge(a *answer) (class, string) {
	if a.err == nil {
		return classifyStatus(a.status), "http_" + strconv.Itoa(a.status)
	}
	f := classifyError(a.err)
	switch f.code {
	case "timeout", "refused", "reset", "eof", "dns_not_found", "dns_failure", "dns_unreachable", "no_descriptors":
		return f.class, f.code // nothing of our network belongs into a record that owners of endpoints read
	}
	return f.class, cut(f.code+": "+a.err.Error(), webhook.MaxReasonBytes)
}

// label is the bounded name of an answer on the metric.
func label(a *answer) string {
	switch {
	case a.err != nil:
		return classifyError(a.err).code
	case a.status >= 100 && a.status <= 599:
		return strconv.Itoa(a.status/100) + "xx"
	}
	return "malformed"
}

// cut escapes what could break a log line and keeps at most limit bytes.
func cut(s string, limit int) string {
	quoted := strconv.QuoteToASCII(s[:min(len(s), limit)])
	quoted = strings.ReplaceAll(quoted[1:len(quoted)-1], `\"`, `"`)
	return quoted[:min(len(quoted), limit)]
}
