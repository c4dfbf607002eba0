package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"
)

const (
	buyCampaign = `{id: buy, trigger: {type: single_action, did: buy}, webhook: {url: "https://ops.example.com/buy"}}`
	// Every user of the state has a timer of this one.
	cartCampaign = `{id: cart, trigger: {type: inaction_within_time, did: cart_add, did_not: checkout, within: 2h},
webhook: {url: "https://ops.example.com/carts", body: {item: "{{ anchor.properties.item }}"}}}`
	flowRate = 500 // events per second and partition while something is measured
)

// recovery is make bench-recovery.
func recovery(ctx context.Context, l *lab, s scale) error {
	l.line("vigil limits recovery: %s\n", machine())
	l.table()
	for _, part := range []func(context.Context, *lab, scale) error{kills, moves} {
		if err := part(ctx, l, s); err != nil {
			return err
		}
	}
	return nil
}

// table begins one.
func (l *lab) table() { l.line("| what | figure | goal | met |\n|---|---|---|---|") }

// row prints one line of the table.
func (l *lab) row(what, figure, goal string, met bool) {
	word := "yes"
	switch {
	case goal == "":
		word = ""
	case !met:
		word = "**no**"
	}
	l.line("| %s | %s | %s | %s |", what, figure, goal, word)
}

// trial is a group of processors under a steady flow of events of which each fires.
type trial struct {
	*lab
	prefix     string
	campaigns  string
	partitions int
	users      int // of a partition
	sender     *sender
	watch      watch
	stop       context.CancelFunc
	stopped    <-chan struct{}
	group      *errgroup.Group
}

// newTrial makes topics and campaigns and reads the fires.
func (l *lab) newTrial(ctx context.Context, prefix string, partitions, users int, campaigns ...string) (*trial, error) {
	r := &trial{lab: l, prefix: prefix, partitions: partitions, users: users}
	var err error
	if r.campaigns, err = l.campaigns(prefix, campaigns...); err != nil {
		return nil, err
	}
	if err = l.topics(ctx, prefix, partitions); err != nil {
		return nil, err
	}
	if r.sender, err = l.sender(prefix); err != nil {
		return nil, err
	}
	r.group = &errgroup.Group{}
	reading, stop := context.WithCancel(ctx)
	r.stop, r.stopped = stop, reading.Done()
	r.group.Go(func() error { return l.fires(reading, prefix, r.watch.got) })
	return r, nil
}

func (r *trial) end() error {
	r.stop()
	err := r.group.Wait()
	r.sender.cl.Close()
	if errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}

// join starts a processor of the trial.
func (r *trial) join(name string, more ...string) (*member, error) {
	return r.start(r.prefix, name, r.campaigns, more...)
}

// fill gives every user a record with a timer and waits until all of it is committed.
func (r *trial) fill(ctx context.Context) error {
	for i := range r.users {
		for p := range r.partitions {
			r.sender.send(ctx, int32(p), userName(int32(p), i), "c", fmt.Sprintf(
				`"type":"cart_add","properties":{"item":"i%07d","value":%d,"currency":"EUR","device":"mobile"}`, i, i%900))
		}
	}
	if err := r.sender.flush(ctx); err != nil {
		return err
	}
	return r.await(ctx, "the state is filled", 2*time.Minute, func() (bool, error) { return r.caughtUp(ctx) })
}

// caughtUp tells whether the group has committed all there is; while the coordinator is not there yet it has not.
func (r *trial) caughtUp(ctx context.Context) (bool, error) {
	ends, err1 := r.adm.ListEndOffsets(ctx, inputOf(r.prefix))
	at, err2 := r.adm.FetchOffsets(ctx, r.prefix+".processor")
	if errors.Join(err1, err2) != nil {
		return false, ctx.Err()
	}
	for p := range r.partitions {
		end, _ := ends.Lookup(inputOf(r.prefix), int32(p))
		if o, ok := at.Lookup(inputOf(r.prefix), int32(p)); !ok || o.At < end.Offset {
			return false, nil
		}
	}
	return true, nil
}

// flow sends events that fire, to all partitions in turn, until the run ends.
func (r *trial) flow(ctx context.Context) {
	began := time.Now().UnixNano()
	r.group.Go(func() error {
		steady(r.stopped, flowRate*r.partitions, func(i int) {
			p := int32(i % r.partitions)
			r.sender.send(ctx, p, userName(p, i/r.partitions%r.users), fmt.Sprintf("b%d-%d", began, i), `"type":"buy"`)
		})
		return nil
	})
}

// steadyFires waits until every partition has fired since, and all restores are over.
func (r *trial) steadyFires(ctx context.Context, since time.Time) error {
	return r.await(ctx, "all partitions fire", time.Minute, func() (bool, error) {
		return len(firsts(r.watch.since(since))) == r.partitions, nil
	})
}

// firsts are, by partition, when the first fire was seen.
func firsts(list []arrival) map[int32]time.Time {
	first := map[int32]time.Time{}
	for _, a := range list {
		if _, ok := first[a.partition]; !ok {
			first[a.partition] = a.seen
		}
	}
	return first
}

// owned are the partitions of an instance, as the group has it.
func (r *trial) owned(ctx context.Context, instance string) ([]int32, error) {
	groups, err := r.adm.DescribeGroups(ctx, r.prefix+".processor")
	if err != nil {
		return nil, err
	}
	var list []int32
	for _, m := range groups[r.prefix+".processor"].Members {
		c, ok := m.Assigned.AsConsumer()
		if !ok || m.InstanceID == nil || *m.InstanceID != instance {
			continue
		}
		for _, t := range c.Topics {
			list = append(list, t.Partitions...)
		}
	}
	return list, nil
}

// restores are the lines that processors logged of restores since a moment.
func (r *trial) restores(since time.Time) (list []restoreLine) {
	for _, p := range r.all {
		text, _ := os.ReadFile(p.log) // no log, no lines
		for in := bufio.NewScanner(bytes.NewReader(text)); in.Scan(); {
			var line restoreLine
			if json.Unmarshal(in.Bytes(), &line) == nil && line.Text == "partition restored" && !line.Time.Before(since.Truncate(time.Second)) &&
				strings.HasPrefix(p.log, r.dir+"/"+r.prefix+"-") {
				line.name = p.name
				list = append(list, line)
			}
		}
	}
	slices.SortFunc(list, func(a, b restoreLine) int { return int(a.Partition - b.Partition) })
	return slices.CompactFunc(list, func(a, b restoreLine) bool { return a == b })
}

// restoreLine is one of them.
type restoreLine struct {
	name      string
	Time      time.Time `json:"time"`
	Text      string    `json:"message"`
	Partition int32     `json:"partition"`
	Users     int       `json:"users"`
	Tail      int64     `json:"tail"` // changelog records read
	Took      float64   `json:"took"` // ms
}
