package standing

import (
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// News is what an attempt told of its endpoint.
type News struct {
	Endpoint string    // or scheme://host of an inline URL
	Address  string    // fingerprint of where it points
	Named    bool      // an endpoint of a file: only such a one is paused when it says 410, for at a host others live too
	Well     bool      // it succeeded
	Ill      bool      // it failed, and the endpoint is why
	Gone     bool      // the answer was 410
	Since    time.Time // the first failure since a success, as far as this sink knows
	Failures int       // from then on
	At       time.Time // now
}

// Note takes in what an attempt told, and pauses the endpoint where that is due: then, or when nothing but failures
// was going on for PauseAfter, reason says why; else it is empty. Failures that last are written down, so that a restart
// or another instance does not begin to count anew, and one success takes that back.
func (b *Board) Note(n News) (reason string) {
	m, known := (*b.marks.Load())[n.Endpoint]
	known = known && m.State != cleared && m.Stands(n.Address)
	switch {
	case known && m.State == Paused:
	case n.Gone && n.Named:
		b.put(n, Paused, Gone, n.At)
		return Gone
	case n.Well && known:
		b.clear(n.Endpoint, n.At)
	case n.Ill:
		return b.ill(n, m, known)
	}
	return ""
}

func (b *Board) ill(n News, m Mark, known bool) (reason string) {
	since := n.Since
	if known || m.State == cleared && m.Since.After(since) { // of a success elsewhere, or an operator, the lane knows nothing
		since = m.Since
	}
	switch lasting := n.At.Sub(since); {
	case lasting >= PauseAfter && n.Failures >= fewFailures:
		b.put(n, Paused, Dead, since)
		return Dead
	case lasting >= markAfter && !known:
		b.put(n, Failing, "", since)
	}
	return ""
}

// put writes a mark, and takes back those of endpoints that nobody seems to use any more: one in use is paused or well by then.
func (b *Board) put(n News, s State, reason string, since time.Time) {
	m := Mark{Endpoint: n.Endpoint, State: s, Reason: reason, Address: n.Address, Since: since, At: n.At}
	var past []string
	b.set(func(marks map[string]Mark) {
		for name, old := range marks {
			switch {
			case old.State == Failing && n.At.Sub(old.At) > forgetAfter:
				delete(marks, name)
				past = append(past, name)
			case old.State == cleared && n.At.Sub(old.Since) > PauseAfter:
				delete(marks, name)
			}
		}
		marks[n.Endpoint] = m
	})
	for _, name := range past {
		b.send(&kgo.Record{Topic: b.topic, Key: []byte(name)})
	}
	r, err := m.record(b.topic)
	if err != nil {
		b.log.Error().Err(err).Str("endpoint", n.Endpoint).Msg("what is known of an endpoint was not written")
		return
	}
	b.send(r)
}

func (b *Board) clear(endpoint string, now time.Time) {
	b.set(func(marks map[string]Mark) { marks[endpoint] = Mark{Since: now} })
	b.send(&kgo.Record{Topic: b.topic, Key: []byte(endpoint)})
}

func (b *Board) send(r *kgo.Record) {
	select {
	case b.outgoing <- r:
	default:
		b.log.Error().Str("endpoint", string(r.Key)).Msg("what is known of an endpoint was not written: too much waits to be")
	}
}
