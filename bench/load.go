package main

import (
	"encoding/binary"
	"fmt"
	"strconv"

	"vigil/campaign"
	"vigil/event"
	"vigil/trigger"
)

// The events: visits of users that are drawn evenly. Every second event is a cart_add, which begins a visit; the others
// are the checkout of the visit that began pause visits earlier, or, for one visit in abandoned, of somebody else. A
// campaign waits for a minute after a cart_add, so that about one event in 2*abandoned becomes a fire. Every event
// matches exactly one campaign, and the same one for all of a user's events, whatever the number of campaigns.
const (
	eventBytes   = 227
	userCount    = 1_000_000
	partitions   = 4
	pause        = 100_000 // visits between a cart_add and its checkout: 20 s
	abandoned    = 20
	perMilli     = 10 // events in a millisecond of their time
	within       = "1m"
	commitMillis = 100
)

// mix is splitmix64: the same numbers in every run.
func mix(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// eventAt is the i-th event: its user and whether it is a checkout.
func eventAt(i int) (user uint64, checkout bool) {
	visit := i / 2
	if i%2 == 0 {
		return mix(uint64(visit)) % userCount, false
	}
	visit -= pause
	if visit < 0 || mix(uint64(visit)^0xabcdef)%abandoned == 0 {
		return mix(uint64(i)<<32) % userCount, true
	}
	return mix(uint64(visit)) % userCount, true
}

// appendUser appends the key of a user.
func appendUser(dst []byte, user uint64) []byte {
	return appendPadded(append(dst, 'u'), user, 7)
}

func appendPadded(dst []byte, n uint64, width int) []byte {
	var digits [20]byte
	text := strconv.AppendUint(digits[:0], n, 10)
	for range width - len(text) {
		dst = append(dst, '0')
	}
	return append(dst, text...)
}

// appendEvent appends the i-th event as JSON of eventBytes bytes; begin is the time of the first, in ms.
func appendEvent(dst []byte, i int, begin int64) []byte {
	start := len(dst)
	user, checkout := eventAt(i)
	noise := mix(uint64(i) ^ 0x5555)
	dst = append(dst, `{"id":"`...)
	dst = appendHex(dst, mix(uint64(i)))
	dst = append(dst, `","type":"`...)
	if checkout {
		dst = append(dst, "checkout"...)
	} else {
		dst = append(dst, "cart_add"...)
	}
	dst = append(dst, `","time":`...)
	dst = strconv.AppendInt(dst, begin+int64(i/perMilli), 10)
	dst = append(dst, `,"properties":{"shop":"s","aisle":"a`...)
	dst = appendPadded(dst, user%10, 1)
	dst = append(dst, `","brand":"b`...)
	dst = appendPadded(dst, user%100, 2)
	dst = append(dst, `","item":"i`...)
	dst = appendPadded(dst, user%10_000, 4)
	dst = append(dst, `","value":`...)
	dst = strconv.AppendUint(dst, 100+noise%900, 10)
	dst = append(dst, '.')
	dst = strconv.AppendUint(dst, 10+noise>>20%90, 10)
	dst = append(dst, `,"currency":"EUR","device":"mobile","page":"/p/`...)
	dst = appendHex(dst, noise)
	for len(dst)-start < eventBytes-len(`"}}`) {
		dst = append(dst, '-')
	}
	return append(dst, `"}}`...)
}

func appendHex(dst []byte, n uint64) []byte {
	const digits = "0123456789abcdef"
	var raw [8]byte
	binary.BigEndian.PutUint64(raw[:], n)
	for _, b := range raw {
		dst = append(dst, digits[b>>4], digits[b&15])
	}
	return dst
}

// campaignsOf makes n campaigns, 1, 10, 100 or 10,000, each told from the others by one equality clause.
func campaignsOf(n int) (*campaign.Catalog, error) {
	clause, ok := map[int]string{1: "shop: s", 10: "aisle: a%d", 100: "brand: b%02d", 10_000: "item: i%04d"}[n]
	if !ok {
		return nil, fmt.Errorf("%d campaigns: 1, 10, 100 or 10000", n)
	}
	list := make([]*campaign.Campaign, 0, n)
	for i := range n {
		where := clause
		if n > 1 {
			where = fmt.Sprintf(clause, i)
		}
		c, problems := campaign.Parse("bench.yaml", fmt.Appendf(nil, campaignText, i, where, where, within))
		if campaign.Failed(problems) {
			return nil, fmt.Errorf("campaign %d: %v", i, problems)
		}
		list = append(list, c)
	}
	return campaign.NewCatalog(list), nil
}

const campaignText = `id: c%05d
trigger:
  type: inaction_within_time
  did: {event: cart_add, where: {%s}}
  did_not: {event: checkout, where: {%s}}
  within: %s
  on_repeat: restart
webhook:
  url: https://ops.example.com/carts
  body: {item: "{{ anchor.properties.item }}", total: "{{ anchor.properties.value }}", user: "{{ user }}"}
`

// fields are the defaults of input.fields.
func fields() event.Fields {
	return event.Fields{Type: "type", ID: "id", Time: "time", Properties: "properties"}
}

// times are the defaults of the processor.
func times() trigger.Options {
	return trigger.Options{AllowedLateness: 2_000, MaxEventAge: 7_200_000, MaxFireDelay: 86_400_000}
}
