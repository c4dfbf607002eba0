package demo

import (
	"fmt"
	"time"
)

// The events of the shop.
const (
	appLaunched        = "app_launched"
	productViewed      = "product_viewed"
	cartAdd            = "cart_add"
	checkout           = "checkout"
	notificationViewed = "notification_viewed"
	pickupBooked       = "pickup_booked"
	pickupCancelled    = "pickup_cancelled"
)

// trip is one visit of one shopper in the making.
type trip struct {
	shop   *Shop
	who    Shopper
	at     time.Time // of the next event
	events []Event
}

// trip makes the events of a visit; before the first one of a shopper the shop tells who that is.
func (s *Shop) trip(who Shopper, at time.Time, visit func(*trip)) []Event {
	t := &trip{shop: s, who: who, at: at}
	if !s.known[who.Name] {
		s.known[who.Name] = true
		t.does("$profile", map[string]any{"set": map[string]any{"name": who.Name, "country": who.Country}})
		t.at = t.at.Add(time.Millisecond)
	}
	visit(t)
	return t.events
}

// does adds an event at the time of the trip.
func (t *trip) does(kind string, properties map[string]any) {
	t.shop.seq++
	t.events = append(t.events, Event{
		User: t.who.Name, Type: kind, ID: fmt.Sprintf("%s-%d", t.shop.run, t.shop.seq),
		Time: t.at.Round(0).UTC().Truncate(time.Millisecond), Properties: properties,
	})
}

// name makes the id of a cart or a booking.
func (t *trip) name(kind string) string { return fmt.Sprintf("%s-%s-%d", kind, t.shop.run, t.shop.seq) }

// launch opens the app, no more.
func (t *trip) launch() {
	t.does(appLaunched, map[string]any{"version": "5.2"})
}

// cart looks at something and puts it into a cart; after pays it is checked out, with 0 never.
func (t *trip) cart(value int, pays time.Duration) {
	cart := t.name("cart")
	t.does(productViewed, map[string]any{"price": value})
	t.at = t.at.Add(200 * time.Millisecond)
	t.does(cartAdd, map[string]any{"cart_id": cart, "value": value, "currency": "EUR"})
	if pays > 0 {
		t.at = t.at.Add(pays)
		t.does(checkout, map[string]any{"cart_id": cart, "value": value})
	}
}

// notification looks at a notification and, if it worked, at the product it was about.
func (t *trip) notification(worked bool) {
	t.does(notificationViewed, map[string]any{"title": "Back in stock"})
	if worked {
		t.at = t.at.Add(1500 * time.Millisecond)
		t.does(productViewed, map[string]any{"product": "lamp"})
	}
}

// pickup books a pickup in 6 s; it may be called off 1 s later, before the reminder.
func (t *trip) pickup(off bool) {
	booking := t.name("pickup")
	t.does(pickupBooked, map[string]any{"booking_id": booking, "pickup_at": t.at.Add(6 * time.Second).UTC().Format(time.RFC3339Nano)})
	if off {
		t.at = t.at.Add(time.Second)
		t.does(pickupCancelled, map[string]any{"booking_id": booking})
	}
}
