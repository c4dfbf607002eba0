package campaign

import (
	"slices"
	"strings"

	"vigil/event"
	"vigil/filter"
)

// Catalog is an immutable set of campaigns in the order of their ids, indexed by event type and by one equality
// clause, so that the cost of an event follows the campaigns that match it. It may be used from many goroutines.
type Catalog struct {
	campaigns []*Campaign
	index     map[string]int // by id
	events    map[string]*typeIndex
	schedules []int
	session   bool
}

// Match says what one event is to one campaign.
type Match struct {
	Index  int    // of the campaign in the catalog
	Did    uint16 // bit i: the event matches Trigger.Did[i]
	DidNot bool   // the event matches a step of Trigger.DidNot
}

// stepRef is one step of one campaign.
type stepRef struct {
	campaign int
	did      uint16  // the bit of the step in Did; 0: it is in DidNot
	where    *Filter // what is left to ask where the step is found
}

// typeIndex finds the steps that an event of one type can match. Each step is in one place.
type typeIndex struct {
	always []stepRef   // steps that no equality clause rules out
	paths  []pathIndex // the others
}

// pathIndex finds steps by the value of one property.
type pathIndex struct {
	path  event.Path
	texts map[string][]stepRef // by a string, the usual case
	steps map[filter.Literal][]stepRef
}

// NewCatalog makes a catalog; ids must be unique.
func NewCatalog(campaigns []*Campaign) *Catalog {
	c := &Catalog{campaigns: slices.Clone(campaigns), events: map[string]*typeIndex{}, index: map[string]int{}}
	slices.SortFunc(c.campaigns, func(a, b *Campaign) int { return strings.Compare(a.ID, b.ID) })
	steps := map[string][]stepRef{}
	for i, campaign := range c.campaigns {
		c.index[campaign.ID] = i
		t := &campaign.Trigger
		c.session = c.session || t.Shape == Session
		if t.Shape == Schedule {
			c.schedules = append(c.schedules, i)
		}
		for k, s := range t.Did {
			steps[s.Event] = append(steps[s.Event], stepRef{i, 1 << k, s.Where})
		}
		for _, s := range t.DidNot {
			steps[s.Event] = append(steps[s.Event], stepRef{i, 0, s.Where})
		}
	}
	for name, refs := range steps {
		c.events[name] = newTypeIndex(refs)
	}
	return c
}

func newTypeIndex(refs []stepRef) *typeIndex {
	n := countClauses(refs)
	x, at := &typeIndex{}, map[event.Path]int{}
	for _, ref := range refs {
		best, ok := n.best(ref.where.Equalities())
		if !ok {
			x.always = append(x.always, ref)
			continue
		}
		i, known := at[best.Path]
		if !known {
			i = len(x.paths)
			at[best.Path] = i
			x.paths = append(x.paths, pathIndex{best.Path, map[string][]stepRef{}, map[filter.Literal][]stepRef{}})
		}
		if ref.where.IsEquality() {
			ref.where = nil
		}
		x.paths[i].add(best.Values, ref)
	}
	return x
}

// add puts a step under each of the values, which may be equal.
func (p *pathIndex) add(values []filter.Literal, ref stepRef) {
	for _, value := range values {
		if value.Kind == event.String {
			p.texts[value.Text] = appendRef(p.texts[value.Text], ref)
		} else {
			p.steps[value] = appendRef(p.steps[value], ref)
		}
	}
}

func appendRef(under []stepRef, ref stepRef) []stepRef {
	if len(under) > 0 && under[len(under)-1] == ref {
		return under
	}
	return append(under, ref)
}

// clauseCount counts the equality clauses of the steps of one event type.
type clauseCount struct {
	steps  int
	paths  map[event.Path]int
	values map[pathValue]int
}

type pathValue struct {
	path  event.Path
	value filter.Literal
}

func countClauses(refs []stepRef) clauseCount {
	n := clauseCount{len(refs), map[event.Path]int{}, map[pathValue]int{}}
	for _, ref := range refs {
		for _, e := range ref.where.Equalities() {
			n.paths[e.Path]++
			for _, value := range e.Values {
				n.values[pathValue{e.Path, value}]++
			}
		}
	}
	return n
}

// best chooses the clause under which a step costs least: few other steps are looked at with it, and the look at the
// property, which every event pays, is shared by many.
func (n clauseCount) best(clauses []filter.Equality) (best filter.Equality, ok bool) {
	least := 0
	for _, e := range clauses {
		cost := n.steps / n.paths[e.Path]
		most := 0
		for _, value := range e.Values {
			most = max(most, n.values[pathValue{e.Path, value}])
		}
		if cost += most; !ok || cost < least {
			best, least, ok = e, cost, true
		}
	}
	return best, ok
}

// Len is the number of campaigns.
func (c *Catalog) Len() int { return len(c.campaigns) }

// At is the i-th campaign in the order of ids, by bytes.
func (c *Catalog) At(i int) *Campaign { return c.campaigns[i] }

// Find is the index of a campaign, or -1.
func (c *Catalog) Find(id string) int {
	if i, ok := c.index[id]; ok {
		return i
	}
	return -1
}

// Named tells whether a step of any campaign names this event type; $profile and $erase always are (semantics 2.2).
func (c *Catalog) Named(eventType string) bool {
	return c.events[eventType] != nil || eventType == event.TypeProfile || eventType == event.TypeErase
}

// HasSession tells whether any campaign has the shape Session, for which every event type counts.
func (c *Catalog) HasSession() bool { return c.session }

// Schedules are the indexes of the campaigns with the shape Schedule, ascending; the caller must not change them.
func (c *Catalog) Schedules() []int { return slices.Clip(c.schedules) }

// Match appends to dst what ev is to each campaign that it touches, in the order of ids. It allocates only to make dst
// longer.
func (c *Catalog) Match(ev *event.Event, dst []Match) []Match {
	x := c.events[ev.Type]
	if x == nil {
		return dst
	}
	start := len(dst)
	dst = appendMatches(dst, start, x.always, ev)
	sorted := true
	for i := range x.paths {
		if refs := x.paths[i].find(ev.Props); len(refs) > 0 {
			sorted = sorted && len(dst) == start
			dst = appendMatches(dst, start, refs, ev)
		}
	}
	if sorted {
		return dst
	}
	return mergeMatches(dst, start)
}

// find are the steps whose clause holds for the properties.
func (p *pathIndex) find(props event.Value) []stepRef {
	v := props.Get(p.path)
	switch kind := v.Kind(); kind {
	case event.String:
		return p.texts[string(v.Bytes())]
	case event.Number:
		d, _ := v.Decimal() // v is a number
		return p.steps[filter.Literal{Kind: kind, Number: d}]
	case event.Bool:
		return p.steps[filter.Literal{Kind: kind, True: v.True()}]
	default:
		return nil
	}
}

// appendMatches appends the steps that match, those of one campaign as one if they follow each other.
func appendMatches(dst []Match, start int, refs []stepRef, ev *event.Event) []Match {
	for i := range refs {
		ref := &refs[i]
		if !ref.where.Match(ev.Props, ev.TS) {
			continue
		}
		m := Match{ref.campaign, ref.did, ref.did == 0}
		if last := len(dst) - 1; last >= start && dst[last].Index == m.Index {
			dst[last].join(m)
		} else {
			dst = append(dst, m)
		}
	}
	return dst
}

func (m *Match) join(o Match) {
	m.Did |= o.Did
	m.DidNot = m.DidNot || o.DidNot
}

// mergeMatches puts the matches from start on in order, one a campaign.
func mergeMatches(dst []Match, start int) []Match {
	fresh := dst[start:]
	slices.SortFunc(fresh, func(a, b Match) int { return a.Index - b.Index })
	n := 0
	for _, m := range fresh {
		if n > 0 && fresh[n-1].Index == m.Index {
			fresh[n-1].join(m)
			continue
		}
		fresh[n] = m
		n++
	}
	return dst[:start+n]
}
