package verify

import (
	"cmp"
	"slices"
	"time"

	"vigil/webhook"
)

// keptDifferences is how many differences of a partition are told one by one.
const keptDifferences = 10_000

// Kind is what is wrong with a fire.
type Kind string

// The kinds.
const (
	Missing    Kind = "missing"    // it was to be, and is not on the topic
	Extra      Kind = "extra"      // it is on the topic, and was not to be
	Different  Kind = "different"  // it is there, and not as it was to be
	Duplicated Kind = "duplicated" // it is there more than once
)

// Difference is a fire that is not as journal and inputs say.
type Difference struct {
	Kind      Kind           `json:"kind"`
	Partition int32          `json:"partition"`
	FireID    string         `json:"fire_id"`
	Campaign  string         `json:"campaign"`
	User      string         `json:"user"`
	Key       string         `json:"key"`
	At        time.Time      `json:"at"`
	Topic     string         `json:"topic"`
	Offset    int64          `json:"offset"` // on that topic; -1 where it is missing
	Source    webhook.Source `json:"source"` // the input record that decided it, or the position at which the clock did
	Fields    []string       `json:"fields,omitempty"`
	Loss      Loss           `json:"unverifiable,omitempty"` // why the run may be the one that is wrong; empty: it is not
	Why       string         `json:"why,omitempty"`          // the same in words
}

// Note is a stretch of a partition's past of which the run did not know all.
type Note struct {
	Partition int32     `json:"partition"`
	Loss      Loss      `json:"reason"`
	Text      string    `json:"text"`
	From      time.Time `json:"from,omitzero"` // on the partition's clock; zero: from the beginning
	To        time.Time `json:"to,omitzero"`   // zero: to the end
}

// Report is what a run found.
type Report struct {
	Equal        int          `json:"equal"`             // fires that stand as they were to
	Differences  []Difference `json:"differences"`       // findings
	Unverifiable []Difference `json:"unverifiable"`      // differences that may be due to what the run did not know
	More         int          `json:"more_differences"`  // more of the first kind, of partitions that have too many to tell one by one
	MoreDoubt    int          `json:"more_unverifiable"` // more of the second kind
	Notes        []Note       `json:"notes"`             // what the run did not know
	Foreign      int          `json:"foreign"`           // deliveries of campaigns that never ran here: another program's
	Apart        int          `json:"apart"`             // deliveries of a backfill, or sent again by an operator
	Unreadable   int          `json:"unreadable"`        // records that are no deliveries
}

func newReport() *Report {
	return &Report{Differences: []Difference{}, Unverifiable: []Difference{}, Notes: []Note{}}
}

// OK tells whether nothing was found.
func (r *Report) OK() bool { return len(r.Differences) == 0 && r.More == 0 }

func (r *Report) put(d Difference) {
	list, beyond := &r.Differences, &r.More
	if d.Loss != "" {
		list, beyond = &r.Unverifiable, &r.MoreDoubt
	}
	if len(*list) < keptDifferences {
		*list = append(*list, d)
	} else {
		*beyond++
	}
}

// add takes in the report of a partition.
func (r *Report) add(p *Report) {
	r.Equal += p.Equal
	r.Differences = append(r.Differences, p.Differences...)
	r.Unverifiable = append(r.Unverifiable, p.Unverifiable...)
	r.More += p.More
	r.MoreDoubt += p.MoreDoubt
	r.Notes = append(r.Notes, p.Notes...)
	r.Foreign += p.Foreign
	r.Apart += p.Apart
	r.Unreadable += p.Unreadable
}

// sort puts everything in an order of its own: by partition, then by time.
func (r *Report) sort() {
	for _, list := range [][]Difference{r.Differences, r.Unverifiable} {
		slices.SortFunc(list, func(a, b Difference) int {
			return cmp.Or(cmp.Compare(a.Partition, b.Partition), a.At.Compare(b.At), cmp.Compare(a.FireID, b.FireID), cmp.Compare(a.Offset, b.Offset))
		})
	}
	slices.SortStableFunc(r.Notes, func(a, b Note) int { return cmp.Compare(a.Partition, b.Partition) })
}

// instant is ms since the epoch as a time.
func instant(ms int64) time.Time { return time.UnixMilli(ms).UTC() }
