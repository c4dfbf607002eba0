package verify

import (
	"math"

	"github.com/twmb/franz-go/pkg/kgo"

	"vigil/campaign"
)

// comparison holds what the run of one partition makes against what stands on the topics.
type comparison struct {
	v     *verifier
	id    int32
	there *board
	known *knowledge

	first map[string]bool // topics of which a fire that stands there has been made
	found *Report
	err   error
}

// made takes a record that the run made.
func (c *comparison) made(r *kgo.Record) {
	if r.Topic != c.v.Topics.Webhooks && r.Topic != c.v.Topics.Shadow {
		return
	}
	made, err := c.there.read(r)
	if err != nil || made == nil { // it is of our own making
		c.err = err
		return
	}
	made.Offset = -1
	stands := c.there.take(made)
	switch {
	case stands == nil:
		if c.v.inRange(made.At) {
			c.put(c.difference(Missing, made), c.missed(made))
		}
		return
	case !c.v.inRange(made.At, stands.At):
	case made.sums == stands.sums:
		c.found.Equal++
	default:
		d := c.difference(Different, made)
		d.Topic, d.Offset = stands.Topic, stands.Offset
		var rendered bool
		d.Fields, rendered = made.differs(stands)
		c.put(d, c.known.doubt(c.campaign(made.Campaign), doubted{made.User, made.At, rendered}))
	}
	c.first[stands.Topic] = true
}

// missed is why a fire that is not on its topic need not be missing.
func (c *comparison) missed(made *fire) *hole {
	if h := c.known.doubt(c.campaign(made.Campaign), doubted{made.User, made.At, false}); h != nil {
		return h
	}
	if c.v.bounds.fires[made.Topic][c.id].start > 0 && !c.first[made.Topic] { // fires stand in the order decided
		return &hole{Loss: LostWebhooks, text: "older than what " + made.Topic + " still holds"}
	}
	return nil
}

func (c *comparison) difference(kind Kind, f *fire) Difference {
	return Difference{
		Kind: kind, Partition: c.id, FireID: f.ID, Campaign: f.Campaign, User: f.User, Key: f.Key, At: instant(f.At),
		Topic: f.Topic, Offset: f.Offset, Source: f.Source,
	}
}

func (c *comparison) put(d Difference, doubt *hole) {
	if doubt != nil {
		d.Loss, d.Why = doubt.Loss, doubt.text
	}
	c.found.put(d)
}

// report is what was found, once the whole past is known.
func (c *comparison) report() (*Report, error) {
	c.found.Apart, c.found.Unreadable = c.there.apart, c.there.unreadable
	c.leftovers()
	for _, h := range c.known.holes {
		n := Note{Partition: c.id, Loss: h.Loss, Text: h.text}
		if h.from != math.MinInt64 {
			n.From = instant(h.from)
		}
		if h.to != math.MaxInt64 && h.to != math.MinInt64 && !h.open {
			n.To = instant(h.to)
		}
		c.found.Notes = append(c.found.Notes, n)
	}
	return c.found, c.err
}

// leftovers are the fires that stand on the topics and were not made.
func (c *comparison) leftovers() {
	for _, s := range c.there.byID {
		made := s.made
		for _, f := range s.fires {
			switch span := c.v.bounds.fires[f.Topic][c.id]; {
			case f.Offset >= span.sure, !c.v.inRange(f.At): // decided while the run was under way, or not asked for
			case made:
				c.put(c.difference(Duplicated, f), nil)
			case c.foreign(f):
				c.found.Foreign++
			default:
				c.put(c.difference(Extra, f), c.known.doubtOf(c.campaign(f.Campaign), doubted{f.User, f.At, false}))
			}
			made = true
		}
	}
}

// foreign tells whether a fire names a campaign that nobody here has ever run: any program may write to the webhooks
// topic (interface 4). Where campaigns are not known that cannot be told.
func (c *comparison) foreign(f *fire) bool {
	for _, h := range c.known.holes {
		if h.Loss == LostCampaigns || h.Loss == LostJournal {
			return false
		}
	}
	return c.campaign(f.Campaign) == nil
}

// campaign is one of this id, of whatever revision is nearest at hand.
func (c *comparison) campaign(id string) *campaign.Campaign {
	for _, cat := range c.v.Catalogs {
		if i := cat.Find(id); i >= 0 {
			return cat.At(i)
		}
	}
	return nil
}
