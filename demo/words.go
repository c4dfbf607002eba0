package demo

import (
	"fmt"
	"strings"
	"time"
)

const clockFormat = "15:04:05"

// Why says in plain words why a webhook was sent.
func (w Webhook) Why() string {
	who := find(w.Body.User)
	switch w.Body.Campaign {
	case "abandoned-cart":
		return fmt.Sprintf("%s put %s into %s cart at %s and did not check out within %d s",
			who.Name, w.money(), who.Their, w.anchorClock(), CartWindow)
	case "canada-launch":
		return fmt.Sprintf("%s opened the app at %s and lives in Canada", who.Name, w.anchorClock())
	case "notification-worked":
		return fmt.Sprintf("%s looked at a notification and %s later at the product", who.Name, w.between())
	case "pickup-soon":
		return fmt.Sprintf("%s picks up %s order at %s, in 3 s, and has not called it off", who.Name, who.Their, w.pickup())
	default:
		return fmt.Sprintf("%s: %s at %s %s", who.Name, w.anchorType(), w.anchorClock(), w.Body.Key)
	}
}

func (w Webhook) anchorClock() string {
	if w.Body.Trigger.Anchor == nil {
		return "?"
	}
	return w.Body.Trigger.Anchor.Time.Local().Format(clockFormat)
}

func (w Webhook) anchorType() string {
	if w.Body.Trigger.Anchor == nil {
		return "no event"
	}
	return w.Body.Trigger.Anchor.Type
}

func (w Webhook) money() string {
	if w.Body.Trigger.Anchor == nil {
		return "something"
	}
	p := w.Body.Trigger.Anchor.Properties
	return strings.TrimSpace(fmt.Sprintf("%v %v", p["value"], p["currency"]))
}

// between is the time from the first event of a set to the last.
func (w Webhook) between() string {
	events := w.Body.Trigger.Events
	if len(events) < 2 {
		return "a moment"
	}
	return seconds(events[len(events)-1].Time.Sub(events[0].Time))
}

func (w Webhook) pickup() string {
	if w.Body.Trigger.Anchor == nil {
		return "?"
	}
	text, _ := w.Body.Trigger.Anchor.Properties["pickup_at"].(string)
	at, err := time.Parse(time.RFC3339Nano, text)
	if err != nil {
		return "?"
	}
	return at.Local().Format(clockFormat)
}

func seconds(d time.Duration) string {
	return strings.Replace(fmt.Sprintf("%.1f s", d.Seconds()), ".0 s", " s", 1)
}
