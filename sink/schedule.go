package sink

import (
	"net/http"
	"strconv"
	"strings"
	"time"
)

// tier is the kind of a topic the sink reads: how long its records wait.
type tier uint8

// The tiers. A record waits for its not_before, at most as long as its tier holds; what is due later is parked.
const (
	tierFirst  tier = iota // vigil.webhooks: at once
	tierRetry1             // second attempts
	tierRetry2             // third attempts
	tierShort              // lower half of the parked topic
	tierLong               // upper half
	tierCount
)

const (
	shortPark     = 15 * time.Second
	longPark      = 5 * time.Minute
	maxRetryAfter = 15 * time.Minute
	jitterShare   = 0.2
)

// hold is the longest that a record waits in a tier, jitter apart.
func (t tier) hold() time.Duration {
	return [tierCount]time.Duration{0, 10 * time.Second, 90 * time.Second, shortPark, longPark}[t]
}

// String names the tier in metrics.
func (t tier) String() string {
	return [tierCount]string{"first", "retry-1", "retry-2", "parked-short", "parked-long"}[t]
}

// due is when a record of the tier that was written at the given time is to be tried, and the delay that jitter is
// taken of. notBefore may be nil: then the tier's own delay counts.
func due(t tier, written time.Time, notBefore *time.Time) (at time.Time, delay time.Duration) {
	if notBefore != nil {
		return *notBefore, max(0, notBefore.Sub(written))
	}
	return written.Add(t.hold()), t.hold()
}

// retryDelay is how long to wait after attempt n (1-based) failed.
func retryDelay(n int, delays []time.Duration) time.Duration {
	return delays[min(n, len(delays))-1]
}

// retryTier is the topic for the retry after attempt n: its own where that holds the delay, else parked.
func retryTier(n int, delay time.Duration) tier {
	t := tierRetry1
	if n > 1 {
		t = tierRetry2
	}
	if delay <= t.hold() {
		return t
	}
	return parkTier(delay)
}

// parkTier is the half of the parked topic for a wait: the short one where it can hold it.
func parkTier(wait time.Duration) tier {
	if wait <= shortPark {
		return tierShort
	}
	return tierLong
}

// jitter is a share of up to 20 % of a delay; chance is in [0, 1).
func jitter(delay time.Duration, chance float64) time.Duration {
	return time.Duration(float64(delay) * jitterShare * chance)
}

// roundUp rounds up to the millisecond, the resolution of times in records.
func roundUp(t time.Time) time.Time {
	if r := t.Truncate(time.Millisecond); !r.Equal(t) {
		return r.Add(time.Millisecond)
	}
	return t
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
	at, err := http.ParseTime(value)
	if err != nil {
		return 0, false
	}
	return max(0, at.Sub(now)), true
}

// clampRetryAfter keeps what a receiver asks for between the delay of its tier and 15 minutes.
func clampRetryAfter(asked, tierDelay time.Duration) time.Duration {
	return max(tierDelay, min(asked, maxRetryAfter))
}
