package core

import "time"

// Tier is the kind of a topic the sink reads: how long its records wait.
type Tier uint8

// The tiers. A record waits for its not_before, at most as long as its tier holds; what is due later is parked.
const (
	TierFirst  Tier = iota // vigil.webhooks: at once
	TierRetry1             // second attempts
	TierRetry2             // third attempts
	TierShort              // lower half of the parked topic
	TierLong               // upper half
	TierCount              // their number
)

// The longest waits of the two halves of the parked topic.
const (
	ShortPark = 15 * time.Second
	LongPark  = 5 * time.Minute
)

const (
	maxRetryAfter = 15 * time.Minute
	jitterShare   = 0.2
)

// Hold is the longest that a record waits in a tier, jitter apart.
func (t Tier) Hold() time.Duration {
	return [TierCount]time.Duration{0, 10 * time.Second, 90 * time.Second, ShortPark, LongPark}[t]
}

// String names the tier in metrics.
func (t Tier) String() string {
	return [TierCount]string{"first", "retry-1", "retry-2", "parked-short", "parked-long"}[t]
}

// Due is when a record of the tier that was written at the given time is to be tried, and the delay that jitter is
// taken of. notBefore may be nil: then the tier's own delay counts.
func Due(t Tier, written time.Time, notBefore *time.Time) (at time.Time, delay time.Duration) {
	if notBefore != nil {
		return *notBefore, max(0, notBefore.Sub(written))
	}
	return written.Add(t.Hold()), t.Hold()
}

// retryDelay is how long to wait after attempt n (1-based) failed.
func retryDelay(n int, delays []time.Duration) time.Duration {
	return delays[min(n, len(delays))-1]
}

// retryTier is the topic for the retry after attempt n: its own where that holds the delay, else parked.
func retryTier(n int, delay time.Duration) Tier {
	t := TierRetry1
	if n > 1 {
		t = TierRetry2
	}
	if delay <= t.Hold() {
		return t
	}
	return ParkTier(delay)
}

// ParkTier is the half of the parked topic for a wait: the short one where it can hold it.
func ParkTier(wait time.Duration) Tier {
	if wait <= ShortPark {
		return TierShort
	}
	return TierLong
}

// Jitter is a share of up to 20 % of a delay; chance is in [0, 1).
func Jitter(delay time.Duration, chance float64) time.Duration {
	return time.Duration(float64(delay) * jitterShare * chance)
}

// RoundUp rounds up to the millisecond, the resolution of times in records.
func RoundUp(t time.Time) time.Time {
	if r := t.Truncate(time.Millisecond); !r.Equal(t) {
		return r.Add(time.Millisecond)
	}
	return t
}
