package campaign

import "vigil/event"

// Catalog is an immutable set of campaigns in the order of their ids, indexed by event type and by one equality
// clause, so that the cost of an event follows the campaigns that match it.
type Catalog struct {
	campaigns []*Campaign
}

// Match says what one event is to one campaign.
type Match struct {
	Index  int    // of the campaign in the catalog
	Did    uint16 // bit i: the event matches Trigger.Did[i]
	DidNot bool   // the event matches a step of Trigger.DidNot
}

// NewCatalog makes a catalog; ids must be unique.
func NewCatalog(campaigns []*Campaign) *Catalog { panic("not built yet") }

// Len is the number of campaigns.
func (c *Catalog) Len() int { return len(c.campaigns) }

// At is the i-th campaign in the order of ids, by bytes.
func (c *Catalog) At(i int) *Campaign { return c.campaigns[i] }

// Find is the index of a campaign, or -1.
func (c *Catalog) Find(id string) int { panic("not built yet") }

// Named tells whether a step of any campaign names this event type; $profile and $erase always are (semantics 2.2).
func (c *Catalog) Named(eventType string) bool { panic("not built yet") }

// HasSession tells whether any campaign has the shape Session, for which every event type counts.
func (c *Catalog) HasSession() bool { panic("not built yet") }

// Schedules are the indexes of the campaigns with the shape Schedule.
func (c *Catalog) Schedules() []int { panic("not built yet") }

// Match appends to dst what ev is to each campaign that it touches, in the order of ids.
func (c *Catalog) Match(ev *event.Event, dst []Match) []Match { panic("not built yet") }
