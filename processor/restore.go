package processor

import (
	"context"
	"errors"
	"fmt"
	"math"
	"path/filepath"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"vigil/campaign"
	"vigil/kafka"
	"vigil/state"
	"vigil/trigger"
)

const (
	lockWait       = 15 * time.Second // for another owner of a state folder to let go
	maxStoreAge    = 84 * time.Hour   // half of delete.retention.ms: an older cache may hold what was deleted since
	restoreTimeout = 30 * time.Second // without any progress
	restoreFetch   = 32 << 20         // bytes of a fetch
)

// restored is a partition's state as Kafka has it, ready to go on.
type restored struct {
	part    *partition
	catalog *campaign.Catalog
	engine  *trigger.Engine
	store   state.Store
	stored  mark // of the store
	topicID string
	offset  int64                  // the next changelog offset
	tail    int64                  // changelog records read
	aside   map[string]*kgo.Record // of the changelog, by user: what cannot be read
	emit    func(*trigger.Decision)
	began   time.Time
	err     error

	hindsight *hindsight // of the campaigns of cat that are fresh; nil: none are
}

func (r *restored) close() {
	if r.store != nil {
		_ = r.store.Close() // nothing was written
	}
}

// restore makes the engine of a partition: the rows of the store, then the changelog behind them up to its end.
// It runs after the group's offsets were fetched, hence after every transaction of the owner before was decided.
func (s *session) restore(ctx context.Context, r *restored) error {
	r.engine = s.newEngine(r)
	if err := s.fill(ctx, r); err != nil {
		return err
	}
	return s.lookBack(ctx, r)
}

func (s *session) newEngine(r *restored) *trigger.Engine {
	return trigger.New(r.catalog, s.cfg.Times, func(d *trigger.Decision) { r.emit(d) })
}

func (s *session) fill(ctx context.Context, r *restored) error {
	topic, id := s.cfg.Topics.State, r.part.id
	r.topicID = s.topics.ids[topic]
	first, end, err := s.bounds(ctx, id)
	if err == nil {
		err = s.missed(r, end)
	}
	if err != nil {
		return err
	}
	r.stored.written = r.began.UnixMilli()
	if r.offset, err = s.fromDisk(ctx, r, first, end); err != nil {
		return err
	}
	r.stored.offset = r.offset
	if err := s.replay(ctx, r, end); err != nil {
		return err
	}
	if !r.part.continued && r.engine.Clock() != math.MinInt64 {
		return fmt.Errorf("%w: %s/%d holds the state of users, but group %s has no offset in %v: offsets expired, an input was deleted and made anew, "+
			"or the state is of another group. To go on with that state: set the group's offsets (kafka-consumer-groups --reset-offsets). "+
			"To begin without the past: delete topic %s. Then start again", errFatal, topic, id, s.cfg.Group, s.inputs, topic)
	}
	return nil
}

// missed says why a changelog is not the one that the last commit wrote to; nil where it may be.
func (s *session) missed(r *restored, end int64) error {
	marks := r.part.marks
	switch {
	case marks == nil:
		return nil
	case marks.State != "" && marks.State != r.topicID:
		return s.madeAnew(s.cfg.Topics.State)
	case end < marks.At:
		return fmt.Errorf("%w: %s/%d ends at offset %d, but a commit wrote up to %d: the brokers have lost the state of users, as after an unclean "+
			"leader election. To begin without the past: stop all processors, delete topic %s and the consumer group %s, start again",
			errFatal, s.cfg.Topics.State, r.part.id, end, marks.At, s.cfg.Topics.State, s.cfg.Group)
	}
	return nil
}

// bounds are the first offset and the end of a partition of the changelog, an open transaction of its last owner
// included: the restore waits for its outcome. A topic that was made a moment ago
// may not be known everywhere yet: it is asked for again.
func (s *session) bounds(ctx context.Context, id int32) (first, end int64, err error) {
	topic := s.cfg.Topics.State
	for began := time.Now(); ; {
		starts, err1 := s.adm.ListStartOffsets(ctx, topic)
		ends, err2 := s.adm.ListEndOffsets(ctx, topic)
		a, ok1 := starts.Lookup(topic, id)
		b, ok2 := ends.Lookup(topic, id)
		err = errors.Join(err1, err2, a.Err, b.Err)
		if err == nil && ok1 && ok2 {
			return a.Offset, b.Offset, nil
		}
		if time.Since(began) > restoreTimeout {
			return 0, 0, fmt.Errorf("find the ends of %s/%d: %w", topic, id, err)
		}
		select {
		case <-ctx.Done():
			return 0, 0, ctx.Err()
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// unfit says why a store is no cache of the changelog; empty where it is.
func unfit(m state.Meta, topicID string, first, end int64) string {
	switch {
	case m == state.Meta{}:
		return ""
	case m.Schema != recordsSchema:
		return "written by another version"
	case m.TopicID != topicID:
		return "of another changelog topic"
	case m.Offset > end:
		return "ahead of the changelog"
	case m.Offset < first:
		return "behind the beginning of the changelog"
	case m.Written > 0 && time.Since(time.UnixMilli(m.Written)) > maxStoreAge:
		return "too old: deletions may have been compacted away"
	}
	return ""
}

// fromDisk opens the store of a partition and loads what it holds into the engine; it tells the changelog offset to go on
// at. A store that is of no use, for whatever reason, is wiped: all of it is in the changelog.
func (s *session) fromDisk(ctx context.Context, r *restored, first, end int64) (int64, error) {
	if s.cfg.DataDir == "" {
		r.store = state.NewMemory()
		return first, nil
	}
	store, meta, err := s.open(ctx, s.folder(r))
	switch {
	case err != nil && (ctx.Err() != nil || errors.Is(err, errFatal)):
		return 0, err
	case errors.Is(err, state.ErrFull): // what is there may serve the next start
		s.withoutDisk(r, err)
		return first, nil
	case err == nil:
		r.store = store
		if err = r.loadStore(store, meta, func() string { return unfit(meta, r.topicID, first, end) }); err == nil {
			return max(meta.Offset, first), nil
		}
		r.store = nil
		_ = store.Close() // its content is thrown away
		r.engine = s.newEngine(r)
	}
	s.cfg.Log.Warn().Int32("partition", r.part.id).Str("reason", err.Error()).Msg("local state is rebuilt from the changelog")
	s.metrics.rebuilds.Inc()
	if err := s.anew(r); err != nil {
		s.withoutDisk(r, err)
	}
	return first, nil
}

func (s *session) folder(r *restored) string {
	return filepath.Join(s.cfg.DataDir, "state", r.part.label())
}

// loadStore loads a store's rows, and errs where they are not all that was written.
func (r *restored) loadStore(store *state.Badger, meta state.Meta, unfit func() string) error {
	if reason := unfit(); reason != "" {
		return errors.New(reason)
	}
	rows := 0
	err := store.Scan(func(key, value []byte) error {
		rows++
		if r.part.faults.user(string(key)) > 0 {
			return fmt.Errorf("the record of user %q could not be read", key)
		}
		return r.engine.Load(string(key), value)
	})
	if err != nil {
		return err
	}
	r.stored.written = meta.Written
	r.engine.Checkpoint(math.MaxInt, func(string, []byte) {}) // what came from the store is there
	r.engine.Stored()
	switch {
	case meta == state.Meta{} && rows > 0:
		return errors.New("it does not say what it is")
	case !meta.Torn && r.engine.Digest() != meta.Digest:
		return errors.New("rows are missing or damaged")
	}
	return store.Trust()
}

// open opens the store in a folder; it waits a while for another owner to let go.
func (s *session) open(ctx context.Context, dir string) (*state.Badger, state.Meta, error) {
	for began := time.Now(); ; {
		store, meta, err := state.OpenBadger(dir, state.Options{})
		if !errors.Is(err, state.ErrLocked) {
			return store, meta, err
		}
		if time.Since(began) > lockWait {
			return nil, meta, fmt.Errorf("%w: another process has %s open: give each its own data_dir: %w", errFatal, dir, err)
		}
		select {
		case <-ctx.Done():
			return nil, meta, ctx.Err()
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// withoutDisk keeps the state of a partition in memory. The disk is a cache: without it the next start reads the
// changelog from its beginning, and that is all.
func (s *session) withoutDisk(r *restored, err error) {
	r.store = state.NewMemory()
	s.metrics.checkpointErrors.Inc()
	s.cfg.Log.Error().Err(err).Int32("partition", r.part.id).
		Msg("state is kept in memory only, until the partition is opened again: make room in data_dir, or make it writable")
}

// anew opens an empty store in place of one that is of no use.
func (s *session) anew(r *restored) error {
	dir := s.folder(r)
	if err := state.Wipe(dir); err != nil {
		return err
	}
	store, _, err := state.OpenBadger(dir, state.Options{})
	if err != nil {
		return err
	}
	r.store = store
	return store.Trust()
}

// replay reads the changelog from the store's offset to the end.
func (s *session) replay(ctx context.Context, r *restored, end int64) error {
	if r.offset >= end {
		return nil
	}
	topic, id := s.cfg.Topics.State, r.part.id
	cl, err := kgo.NewClient(append(slices.Clone(s.cfg.Kafka),
		kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{topic: {id: kgo.NewOffset().At(r.offset)}}),
		kgo.FetchIsolationLevel(kgo.ReadCommitted()),
		kgo.KeepControlRecords(),
		kgo.ConsumeResetOffset(kgo.NoResetOffset()),
		kgo.FetchMaxPartitionBytes(restoreFetch),
	)...)
	if err != nil {
		return err
	}
	defer cl.Close()
	now := time.Now()
	at := reading{from: r.offset, end: end, began: now, told: now}
	var decided kafka.Decided
	come := r.offset
	for r.offset < end {
		polling, cancel := context.WithTimeout(ctx, restoreTimeout)
		fetches := cl.PollFetches(polling)
		cancel()
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err := fetches.Err(); err != nil {
			return fmt.Errorf("read %s at %d: %w", topic, r.offset, err)
		}
		for it := fetches.RecordIter(); !it.Done(); {
			record := it.Next()
			come = max(come, record.Offset+1)
			decided.Add(record)
		}
		if come >= end { // a marker that is not there by now may be compacted away
			decided.Break()
		}
		before := r.tail
		for record := range decided.Ready() {
			if err := r.load(record); err != nil {
				return err
			}
		}
		s.metrics.restored.Add(float64(r.tail - before))
		s.read(r, &at)
	}
	return nil
}

func (r *restored) load(record *kgo.Record) error {
	r.offset = max(r.offset, record.Offset+1)
	if record.Attrs.IsControl() || record.Offset == math.MaxInt64 {
		return nil
	}
	r.tail++
	key := string(record.Key)
	if r.part.faults.user(key) > 1 { // the first time it may have been the disk
		return r.leaveOut(key, record)
	}
	err := r.engine.Load(key, record.Value)
	if errors.As(err, new(*trigger.RecordError)) && !errors.Is(err, trigger.ErrNewer) {
		return r.leaveOut(key, record)
	}
	if err != nil {
		return r.clockless(record, err)
	}
	delete(r.aside, key)
	return nil
}

// clockless is the error of a record of the partition itself that cannot be read, or of any of a newer version. Nobody
// can be judged without the clock, and none may be made up: instants of schedules would come twice, or never.
func (r *restored) clockless(record *kgo.Record, err error) error {
	err = fmt.Errorf("%s/%d at offset %d: %w", record.Topic, record.Partition, record.Offset, err)
	if errors.Is(err, trigger.ErrNewer) {
		return err
	}
	return fmt.Errorf("%w: the record of the partition's clock is gone or cannot be read, and no vigil wrote it so: find out who writes to %s. "+
		"To begin without the past: stop all processors, delete topic %s and the consumer group %s, start again: %w",
		errFatal, record.Topic, record.Topic, r.part.cfg.Group, err)
}

// leaveOut loads nothing in place of a record that cannot be read.
func (r *restored) leaveOut(key string, record *kgo.Record) error {
	if r.aside == nil {
		r.aside = map[string]*kgo.Record{}
	}
	r.aside[key] = record
	return r.engine.Load(key, nil)
}
