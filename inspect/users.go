package inspect

import (
	"context"
	"errors"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"vigil/kafka"
	"vigil/trigger"
)

// ErrUnknownUser says that vigil.state has nothing of a user.
var ErrUnknownUser = errors.New("nothing is known of this user")

// User is the newest record of a user in vigil.state.
type User struct {
	User      string             `json:"user"`
	Partition int32              `json:"partition"`
	Offset    int64              `json:"offset"`
	Written   time.Time          `json:"written"` // the record's timestamp
	Bytes     int                `json:"bytes"`
	State     *trigger.Described `json:"state,omitempty"`
	Error     string             `json:"error,omitempty"` // why the record cannot be read; then there is no state
}

func describe(record *kgo.Record) *User {
	u := &User{
		User: string(record.Key), Partition: record.Partition, Offset: record.Offset, Written: record.Timestamp.UTC().Truncate(time.Millisecond),
		Bytes: len(record.Value),
	}
	d, err := trigger.Describe(record.Value)
	if err != nil {
		u.Error = err.Error()
		return u
	}
	u.State = &d
	return u
}

// User finds one user. It reads the partition where the key usually is, and only where nothing is there the others:
// the partition is the input's, whose producers may choose by their own rule.
func (r *Reader) User(ctx context.Context, topics kafka.Topics, name string) (*User, error) {
	n, err := r.partitions(ctx, topics.State)
	if err != nil {
		return nil, err
	}
	usual := home([]byte(name), topics.State, n)
	for _, only := range []func(int32) bool{
		func(id int32) bool { return id == usual },
		func(id int32) bool { return id != usual },
	} {
		var last *kgo.Record
		err := r.read(ctx, scan{topic: topics.State, only: only}, func(record *kgo.Record) error {
			if string(record.Key) == name {
				last = record
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
		if last != nil && len(last.Value) > 0 {
			return describe(last), nil
		}
	}
	return nil, ErrUnknownUser
}

// Users shows every user once, partition by partition. Each partition is read twice: what is remembered in between is an
// offset a user, not the state.
func (r *Reader) Users(ctx context.Context, topics kafka.Topics, show func(*User) error) error {
	n, err := r.partitions(ctx, topics.State)
	if err != nil {
		return err
	}
	for id := range int32(n) {
		s := scan{topic: topics.State, only: func(partition int32) bool { return partition == id }}
		last := map[string]int64{}
		err := r.read(ctx, s, func(record *kgo.Record) error {
			if key := string(record.Key); key != trigger.PartitionKey && key != trigger.KnownKey { // the partition's own are no users
				last[key] = record.Offset
			}
			return nil
		})
		if err != nil {
			return err
		}
		err = r.read(ctx, s, func(record *kgo.Record) error {
			if offset, ok := last[string(record.Key)]; !ok || offset != record.Offset || len(record.Value) == 0 {
				return nil
			}
			return show(describe(record))
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// Stats are the sums over all users.
type Stats struct {
	Users      int                       `json:"users"`
	Bytes      int64                     `json:"bytes"` // of their records
	Largest    Largest                   `json:"largest"`
	Profiles   int                       `json:"profiles"`
	Erased     int                       `json:"erased"`
	SeenIDs    int                       `json:"seen_ids"`
	Unreadable int                       `json:"unreadable"`
	NextDue    time.Time                 `json:"next_due,omitzero"`
	Campaigns  map[string]*CampaignStats `json:"campaigns"`
}

// Largest is the user with the largest record.
type Largest struct {
	User  string `json:"user"`
	Bytes int    `json:"bytes"`
}

// CampaignStats are the sums of one campaign.
type CampaignStats struct {
	Users    int `json:"users"`
	Threads  int `json:"threads"`
	Timers   int `json:"timers"` // pending, deferred and held ones included
	Deferred int `json:"deferred"`
	Held     int `json:"held"`
	Kept     int `json:"kept"`  // events kept for sets and instants
	Fires    int `json:"fires"` // remembered for gap and max
}

// Stats adds up vigil.state.
func (r *Reader) Stats(ctx context.Context, topics kafka.Topics) (Stats, error) {
	s := Stats{Campaigns: map[string]*CampaignStats{}}
	err := r.Users(ctx, topics, func(u *User) error {
		s.add(u)
		return nil
	})
	return s, err
}

func (s *Stats) add(u *User) {
	s.Users++
	s.Bytes += int64(u.Bytes)
	if u.Bytes > s.Largest.Bytes {
		s.Largest = Largest{u.User, u.Bytes}
	}
	d := u.State
	if d == nil {
		s.Unreadable++
		return
	}
	s.SeenIDs += d.SeenIDs
	if d.Profile != nil {
		s.Profiles++
	}
	if !d.Erased.IsZero() {
		s.Erased++
	}
	if !d.NextDue.IsZero() && (s.NextDue.IsZero() || d.NextDue.Before(s.NextDue)) {
		s.NextDue = d.NextDue
	}
	for i := range d.Campaigns {
		s.campaign(&d.Campaigns[i])
	}
}

func (s *Stats) campaign(d *trigger.DescribedCampaign) {
	c := s.Campaigns[d.ID]
	if c == nil {
		c = &CampaignStats{}
		s.Campaigns[d.ID] = c
	}
	c.Users++
	c.Threads += len(d.Threads)
	c.Fires += len(d.Fires)
	for i := range d.Threads {
		t := &d.Threads[i]
		c.Kept += len(t.Kept)
		c.Timers += len(t.Timers)
		for _, tm := range t.Timers {
			if tm.Deferred {
				c.Deferred++
			}
			if tm.Held {
				c.Held++
			}
		}
	}
}
