package core

import (
	"strconv"
	"strings"
	"time"

	"vigil/webhook"
)

// StatusClass is the table of delivery 3 for answers.
func StatusClass(status int) Class {
	switch {
	case status >= 200 && status <= 299:
		return Success
	case status < 200, status > 599: // a final 1xx is 101; 000 and 999 are no statuses
		return Retryable
	case status >= 507 && status <= 511, status >= 520 && status <= 530:
		return Retryable
	}
	switch status {
	case 408, 409, 421, 425, 429, 500, 502, 503, 504:
		return Retryable
	}
	return Permanent
}

// Statuses are the answers that an endpoint wants tried again, instead of the default list; only 300 to 599 are asked.
type Statuses map[int]bool

// StatusClass is what an answer means at this endpoint.
func (p Plan) StatusClass(status int) Class {
	switch class := StatusClass(status); {
	case p.RetryOn == nil || status < 300 || status > 599:
		return class
	case p.RetryOn[status]:
		return Retryable
	default:
		return Permanent
	}
}

// Decide is the table of delivery 2 for what was in flight.
func Decide(p Plan, a *Answer) Fate {
	class, code, reason := a.Class, a.Code, a.Reason
	if !a.Failed {
		class, code, reason = p.StatusClass(a.Status), CodePermanent, ""
		if class != Success {
			reason = "http_" + strconv.Itoa(a.Status)
		}
	}
	f := Fate{Attempts: p.Attempt, Reason: reason, Answer: a}
	switch class {
	case Success:
		f.Outcome = webhook.Delivered
	case Ours:
		at := RoundUp(p.Now.Add(ShortPark))
		f.Outcome, f.Code, f.Next, f.To, f.Attempts = webhook.Parked, ParkOurs, &at, TierShort, p.Attempt-1
	case Permanent:
		f.Outcome, f.Code = webhook.Dead, code
		if a.Failed { // nothing was sent
			f.Attempts = p.Attempt - 1
		}
	case Retryable:
		p.again(&f, a)
	}
	return f
}

// again is the retryable row: another attempt, unless none is left or it would come too late.
func (p Plan) again(f *Fate, a *Answer) {
	f.Outcome, f.Code = webhook.Dead, CodeExhausted
	delay := retryDelay(p.Attempt, p.Delays)
	if a.Status == 429 || a.Status == 503 {
		if asked, ok := retryAfter(a.RetryAfter, p.Now); ok {
			delay = clampRetryAfter(asked, delay)
			until := RoundUp(p.Now.Add(delay))
			f.Hold = &until
		}
	}
	at := RoundUp(p.Now.Add(delay))
	if p.Attempt > p.Retries || p.Expires != nil && at.After(*p.Expires) {
		return
	}
	f.Outcome, f.Code, f.Next, f.To = webhook.Retry, "", &at, retryTier(p.Attempt, delay)
}

// Label is the bounded name of an answer on a metric: 2xx, or the code of the failure.
func Label(a *Answer) string {
	switch {
	case a.Failed:
		return a.Code
	case a.Status >= 100 && a.Status <= 599:
		return [...]string{"1xx", "2xx", "3xx", "4xx", "5xx"}[a.Status/100-1]
	}
	return "malformed"
}

// Cut escapes what could break a log line and keeps at most limit bytes.
func Cut(s string, limit int) string {
	quoted := strconv.QuoteToASCII(s[:min(len(s), limit)])
	quoted = strings.ReplaceAll(quoted[1:len(quoted)-1], `\"`, `"`)
	return quoted[:min(len(quoted), limit)]
}

// retryAfter reads a Retry-After header: at most 7 digits, or an HTTP date; a past one is 0; false for anything else.
func retryAfter(value string, now time.Time) (time.Duration, bool) {
	value = strings.TrimSpace(value)
	if value == "" {
		return 0, false
	}
	if len(value) <= 7 && strings.Trim(value, "0123456789") == "" {
		seconds, err := strconv.Atoi(value)
		return time.Duration(seconds) * time.Second, err == nil
	}
	for _, layout := range [...]string{"Mon, 02 Jan 2006 15:04:05 GMT", time.RFC850, time.ANSIC} { // those of net/http
		if at, err := time.Parse(layout, value); err == nil {
			return max(0, at.Sub(now)), true
		}
	}
	return 0, false
}

// clampRetryAfter keeps what a receiver asks for between the delay of its tier and 15 minutes.
func clampRetryAfter(asked, tierDelay time.Duration) time.Duration {
	return max(tierDelay, min(asked, maxRetryAfter))
}
