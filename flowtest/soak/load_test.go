package soak

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"vigil/webhook"
)

const (
	inlineShare  = 20 // per cent of deliveries that go to a new host each
	longDay      = 24 * time.Hour
	maxBodyBytes = 4 << 10
)

// produce writes deliveries at a steady rate until ctx ends, and waits for all to be acked.
func (r *run) produce(ctx context.Context) {
	chance, tick := r.chance(1), time.NewTicker(time.Second/time.Duration(r.rate))
	defer tick.Stop()
	body := make([]byte, maxBodyBytes)
	for i := range body {
		body[i] = 'a' + byte(i%26)
	}
	for i := 0; ctx.Err() == nil; i++ {
		d := &webhook.Delivery{Method: http.MethodPost, User: fmt.Sprint("u", i%1000), Body: body[:16+chance.IntN(chance.IntN(maxBodyBytes-16)+1)]}
		if street := r.streetNow(); chance.IntN(100) >= inlineShare {
			r.address(d, street[chance.IntN(len(street))], chance.IntN(2) == 0)
		} else {
			d.Campaign, d.URL = "inline", fmt.Sprintf("https://127.%d.%d.%d/hooks", 1+i>>16&0x7f, i>>8&0xff, i&0xff)
			d.FireID = r.sent(inline)
		}
		r.put(d, int32(i%partitions))
		select {
		case <-tick.C:
		case <-ctx.Done():
		}
	}
	r.must(r.Client.Flush(r.T.Context()))
}

// address sends a delivery to an endpoint, of the campaign that stays or of one that is new every now and then. What goes to
// one that is not well all the time expires soon.
func (r *run) address(d *webhook.Delivery, h *house, stays bool) {
	d.Endpoint, d.Campaign = h.name, "steady-"+h.name
	if !stays {
		d.Campaign = fmt.Sprintf("c-%s-%d", h.name, int(time.Since(r.began)/r.campaign))
	}
	r.campaigns[d.Campaign] = true
	until := time.Now().Add(longDay)
	if !habits[h.kind].healthy {
		until = time.Now().Add(r.expires)
	}
	d.ExpiresAt, d.FireID = &until, r.sent(h.kind)
}

// put writes a delivery.
func (r *run) put(d *webhook.Delivery, partition int32) {
	now := time.Now()
	d.V, d.Attempt, d.At, d.DecidedAt = webhook.Version, 1, now, now
	r.Client.Produce(r.T.Context(), &kgo.Record{
		Topic: r.Topics.Webhooks, Partition: partition, Key: []byte(d.User), Value: d.Encode(),
		Headers: []kgo.RecordHeader{{Key: webhook.HeaderFireID, Value: []byte(d.FireID)}},
	}, func(_ *kgo.Record, err error) { r.must(err) })
}

// first is a delivery to a healthy endpoint.
func (r *run) first() (*webhook.Delivery, *house) {
	return &webhook.Delivery{Method: http.MethodPost, User: "u", Body: []byte("first")}, r.streetNow()[0]
}
