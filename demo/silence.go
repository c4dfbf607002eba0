package demo

import (
	"fmt"
	"maps"
	"time"
)

// silence is a webhook that ought not to come, and the reason. It is told only if indeed none has come.
type silence struct {
	campaign, user, key string
	tell                time.Time // not before
	why                 string
}

// Watcher listens to what the shoppers do, and knows of whom a webhook might have been expected. It has one caller.
type Watcher struct {
	carts   map[string]Event // filled, by id
	pending []silence
}

// NewWatcher knows nothing yet.
func NewWatcher() *Watcher { return &Watcher{carts: map[string]Event{}} }

// See takes note of an event.
func (w *Watcher) See(ev Event) {
	who := find(ev.User)
	cart, _ := ev.Properties["cart_id"].(string)
	switch ev.Type {
	case cartAdd:
		w.carts[cart] = ev
		if value, _ := ev.Properties["value"].(int); value < 100 {
			w.expectNone("abandoned-cart", cart, ev, fmt.Sprintf("%s cart was %d EUR only", possessive(who.Name), value))
		}
	case checkout:
		filled, ok := w.carts[cart]
		delete(w.carts, cart)
		if !ok {
			return
		}
		w.expectNone("abandoned-cart", cart, filled, fmt.Sprintf("%s checked out %s after filling %s cart",
			who.Name, seconds(ev.Time.Sub(filled.Time)), who.Their))
	case pickupCancelled:
		booking, _ := ev.Properties["booking_id"].(string)
		w.expectNone("pickup-soon", booking, ev, fmt.Sprintf("%s called %s pickup off in time", who.Name, who.Their))
	case appLaunched:
		if who.Country != "CA" {
			w.expectNone("canada-launch", "", ev, fmt.Sprintf("%s opened the app too, but lives in %s", who.Name, country(who.Country)))
		}
	}
}

func (w *Watcher) expectNone(campaign, key string, ev Event, why string) {
	const wait = (CartWindow + 2) * time.Second // all that could have fired has done so
	w.pending = append(w.pending, silence{campaign, ev.User, key, ev.Time.Add(wait), why})
}

// Quiet tells of whom no webhook came by now although one might have been expected; came says whether one did.
func (w *Watcher) Quiet(now time.Time, came func(campaign, user, key string) bool) []string {
	var told []string
	kept := w.pending[:0]
	for _, s := range w.pending {
		switch {
		case now.Before(s.tell):
			kept = append(kept, s)
		case !came(s.campaign, s.user, s.key):
			told = append(told, s.why)
		}
	}
	w.pending = kept
	maps.DeleteFunc(w.carts, func(_ string, filled Event) bool { return now.Sub(filled.Time) > time.Minute })
	return told
}

func possessive(name string) string {
	if name[len(name)-1] == 's' {
		return name + "'"
	}
	return name + "'s"
}

func country(code string) string {
	names := map[string]string{
		"FR": "France", "US": "the United States", "IN": "India", "NG": "Nigeria", "MA": "Morocco", "HR": "Croatia",
		"JP": "Japan", "PT": "Portugal", "DE": "Germany", "AT": "Austria", "CL": "Chile", "NL": "the Netherlands", "SE": "Sweden",
	}
	if name := names[code]; name != "" {
		return name
	}
	return code
}
