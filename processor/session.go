package processor

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"golang.org/x/sync/errgroup"
)

const (
	sessionTimeout     = 10 * time.Second // of the group; a killed host's partitions move after it
	transactionTimeout = 15 * time.Second // an orphan holds the end of its partitions for so long
	pollRecords        = 20_000
	fetchWait          = 500 * time.Millisecond // where the configuration says nothing, and so are the next two
	fetchBytes         = 256 << 10              // of a partition at a time: more lies about until no cache holds it
	heartbeats         = 500 * time.Millisecond // with the next one a member hears of a rebalance; a partition that moves waits for it
	recordRetries      = 8                      // about as long as a transaction may last; then the brokers' reason is told
	tick               = 250 * time.Millisecond // of the wall clock
	atOnce             = time.Millisecond       // a poll that may not wait at all brings nothing of what was fetched
)

// change is something that happened to the assignment or to a restore, told to the loop by another goroutine.
type change struct {
	assigned map[string]map[int32]beginning
	revoked  map[string][]int32
	restored *restored
	failed   error // ends the session
}

// beginning is where a topic of a partition begins.
type beginning struct {
	offset int64
	fresh  bool // the group had no offset there
}

// session is one life of the client: until an error whose outcome is unknown, or the end.
type session struct {
	*Processor
	inputs     []string
	topics     topicSet
	kafka      *kgo.GroupTransactSession
	partitions map[int32]*partition
	restores   map[int32]context.CancelFunc
	group      *errgroup.Group // restores, checkpoints and clock requests
	ends       endOffsets
	writing    atomic.Bool // a slice of a checkpoint

	mu      sync.Mutex
	changes []change             // guarded by mu
	marks   map[int32]*landmarks // guarded by mu; of the newest commit of each partition
	wake    context.CancelFunc

	inTxn    bool
	began    time.Time
	moved    bool // some partition has something to commit
	load     load
	more     bool // some partition has more to do at once
	produced producedErrors
}

// session runs until ctx ends or an error leaves it unclear what was committed.
func (p *Processor) session(ctx context.Context) (err error) {
	s := &session{
		Processor: p, inputs: p.inputs(), partitions: map[int32]*partition{}, restores: map[int32]context.CancelFunc{},
		marks: map[int32]*landmarks{}, group: &errgroup.Group{},
	}
	if err = p.stillOurs(ctx); err != nil {
		return err
	}
	if s.topics, err = p.findTopics(ctx); err != nil {
		return err
	}
	if s.kafka, err = kgo.NewGroupTransactSession(s.options()...); err != nil {
		return fmt.Errorf("make the client: %w: %w", errFatal, err)
	}
	// A transaction that a predecessor of the same name left open is ended first: a restore waits for its outcome.
	if _, _, err = s.kafka.Client().ProducerID(ctx); err == nil {
		err = s.loop(ctx)
	}
	if err == nil {
		err = s.finish()
	}
	s.left()
	for _, cancel := range s.restores {
		cancel()
	}
	s.kafka.CloseAllowingRebalance()
	err = errors.Join(err, s.group.Wait())
	for _, part := range s.partitions {
		err = errors.Join(err, part.close())
		p.status(part.id, "")
	}
	s.closeRestored()
	return err
}

func (s *session) options() []kgo.Opt {
	// A partition that is resumed while a fetch of others waits is in the next one only, so a wait is a short one.
	opts := append([]kgo.Opt{
		kgo.FetchMaxWait(fetchWait), kgo.FetchMaxPartitionBytes(fetchBytes), kgo.HeartbeatInterval(heartbeats),
	}, s.cfg.Kafka...)
	return append(opts,
		kgo.ConsumeTopics(s.inputs...),
		kgo.ConsumerGroup(s.cfg.Group),
		kgo.InstanceID(s.cfg.Instance),
		kgo.TransactionalID(s.cfg.Group+"-"+s.cfg.Instance),
		kgo.TransactionTimeout(transactionTimeout),
		kgo.SessionTimeout(sessionTimeout),
		kgo.Balancers(balancer(s.inputs)),
		kgo.BlockRebalanceOnPoll(),
		kgo.FetchIsolationLevel(kgo.ReadCommitted()),
		kgo.KeepControlRecords(),
		kgo.ConsumeStartOffset(kgo.NewOffset().AtStart()),
		kgo.ConsumeResetOffset(kgo.NoResetOffset()),
		kgo.RecordPartitioner(kgo.ManualPartitioner()),
		kgo.MaxBufferedRecords(400_000),
		kgo.ProducerBatchMaxBytesFn(s.topics.batchBytes),
		kgo.ProducerLinger(0),
		kgo.RecordRetries(recordRetries),
		kgo.OnPartitionsAssigned(func(_ context.Context, cl *kgo.Client, got map[string][]int32) {
			cl.PauseFetchPartitions(got)
			s.joined(got)
		}),
		kgo.OnOffsetsFetched(s.noteMarks),
		kgo.AdjustFetchOffsetsFn(s.assigned),
		kgo.OnPartitionsRevoked(func(_ context.Context, _ *kgo.Client, gone map[string][]int32) {
			s.tell(change{revoked: gone})
		}),
		kgo.OnPartitionsLost(func(_ context.Context, _ *kgo.Client, gone map[string][]int32) {
			s.leaves("the group was lost; it is joined again once a broker answers")
			s.tell(change{revoked: gone})
		}),
	)
}

// tell hands the loop a change and ends its wait.
func (s *session) tell(c change) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.changes = append(s.changes, c)
	if s.wake != nil {
		s.wake()
	}
}

// loop polls, works and commits. Between a poll and AllowRebalance no partition is taken away, so all work on
// partitions happens there; a transaction lives within one such span.
func (s *session) loop(ctx context.Context) error {
	for ctx.Err() == nil {
		fetches := s.poll(ctx)
		if err := s.apply(ctx); err != nil {
			return err
		}
		if err := fetchError(fetches); err != nil {
			return err
		}
		if err := s.work(ctx, fetches); err != nil {
			return err
		}
		if s.due() {
			if err := s.commit(endTimeout); err != nil {
				return err
			}
		}
		if !s.inTxn {
			for _, part := range s.partitions {
				s.checkpoint(part) // where there is nothing to commit too
			}
			s.kafka.AllowRebalance()
		}
	}
	return nil
}

// finish commits what is in hand and checkpoints, within the time that a stop may take.
func (s *session) finish() error {
	s.poll(canceled())
	if err := s.apply(canceled()); err != nil {
		return err
	}
	if s.inTxn || s.moved {
		s.waits("the commit of the last transaction")
		if err := s.commit(stopTimeout); err != nil {
			return err
		}
	}
	var errs []error
	for id, part := range s.partitions {
		s.waits(fmt.Sprintf("checkpoints, %d of %d partitions done", len(errs), len(errs)+len(s.partitions)))
		delete(s.partitions, id)
		errs = append(errs, part.retire())
		s.status(id, "")
	}
	s.waits("the client to close")
	return errors.Join(errs...)
}

func canceled() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return ctx
}

// poll waits for records until the next commit or tick of the clock is due.
func (s *session) poll(ctx context.Context) kgo.Fetches {
	wait := tick
	if s.inTxn {
		wait = s.cfg.CommitInterval - time.Since(s.began)
	}
	if s.more {
		wait = atOnce
	}
	ctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	s.mu.Lock()
	s.wake = cancel
	if len(s.changes) > 0 {
		cancel()
	}
	s.mu.Unlock()
	return s.kafka.PollRecords(ctx, pollRecords)
}

// work lets every partition take its records, and the wall clock settle what is due.
func (s *session) work(ctx context.Context, fetches kgo.Fetches) error {
	batches := s.batches(fetches)
	s.askEnds(ctx)
	ends := s.ends.take()
	var workers errgroup.Group
	workers.SetLimit(min(s.cfg.Workers, runtime.GOMAXPROCS(0)))
	s.load.settles.Store(0)
	s.load.parts = len(s.partitions)
	for _, part := range s.partitions {
		records := batches[part.id]
		if len(records) == 0 && ends == nil && !part.waits() && !part.more {
			continue
		}
		workers.Go(func() error { return part.step(records, ends) })
	}
	if err := workers.Wait(); err != nil {
		return err
	}
	s.more = false
	for _, part := range s.partitions {
		s.moved, s.more = s.moved || part.moved, s.more || part.more
		s.throttle(part)
	}
	if s.moved && !s.inTxn {
		if err := s.kafka.Begin(); err != nil {
			return fmt.Errorf("begin a transaction: %w", err)
		}
		s.inTxn, s.began = true, time.Now()
	}
	return nil
}

// batches sorts what was polled by partition, and by topic in the order of the configuration.
func (s *session) batches(fetches kgo.Fetches) map[int32][][]*kgo.Record {
	batches := map[int32][][]*kgo.Record{}
	fetches.EachPartition(func(f kgo.FetchTopicPartition) {
		if len(f.Records) == 0 || s.partitions[f.Partition] == nil {
			return
		}
		if batches[f.Partition] == nil {
			batches[f.Partition] = make([][]*kgo.Record, len(s.inputs))
		}
		i := slices.Index(s.inputs, f.Topic)
		batches[f.Partition][i] = decide(&s.partitions[f.Partition].undecided[i], f.Records, batches[f.Partition][i])
	})
	return batches
}

// due tells whether the open transaction must end now.
func (s *session) due() bool {
	if !s.inTxn {
		return false
	}
	if time.Since(s.began) >= s.cfg.CommitInterval {
		return true
	}
	records := 0
	for _, part := range s.partitions {
		records += part.worked
		if part.jottedEnough() {
			return true
		}
	}
	return records >= txnRecords || s.load.full()
}

// assigned is called when the offsets to begin at are known; partitions stay paused until they are restored.
func (s *session) assigned(ctx context.Context, offsets map[string]map[int32]kgo.Offset) (map[string]map[int32]kgo.Offset, error) {
	at := map[string]map[int32]beginning{}
	for topic, parts := range offsets {
		at[topic] = map[int32]beginning{}
		fresh := false
		for id, o := range parts {
			offset := o.EpochOffset().Offset
			if err := s.misplaced(topic, id, offset); err != nil {
				s.tell(change{failed: err})
				return nil, err
			}
			at[topic][id] = beginning{offset, offset < 0}
			fresh = fresh || offset < 0
		}
		if !fresh {
			continue
		}
		starts, err := s.firstOffsets(ctx, topic)
		if err != nil {
			return nil, fmt.Errorf("find where to begin in %s: %w", topic, err)
		}
		for id, begin := range at[topic] {
			if !begin.fresh {
				continue
			}
			l, ok := starts.Lookup(topic, id)
			if !ok || l.Err != nil {
				return nil, fmt.Errorf("find where to begin in %s/%d: %w", topic, id, l.Err)
			}
			at[topic][id] = beginning{l.Offset, true}
			parts[id] = kgo.NewOffset().At(l.Offset)
		}
	}
	s.tell(change{assigned: at})
	return offsets, nil
}

// firstOffsets are those where a new group begins: as configured, but with the beginning of the profiles topic, which
// is a snapshot of what is known.
func (s *session) firstOffsets(ctx context.Context, topic string) (kadm.ListedOffsets, error) {
	at, err := startOffset(s.cfg.Start)
	switch {
	case err != nil:
		return nil, err
	case at == startEarliest || topic == s.cfg.ProfilesTopic:
		return s.adm.ListStartOffsets(ctx, topic)
	case at == startLatest:
		return s.adm.ListEndOffsets(ctx, topic)
	default:
		return s.adm.ListOffsetsAfterMilli(ctx, at, topic)
	}
}

const (
	startLatest   = -1
	startEarliest = -2
)

// startOffset reads input.start: ms since the epoch, or one of the constants.
func startOffset(start string) (int64, error) {
	switch start {
	case "latest", "":
		return startLatest, nil
	case "earliest":
		return startEarliest, nil
	}
	t, err := time.Parse(time.RFC3339, start)
	if err != nil {
		return 0, fmt.Errorf("input.start: %q is none of latest, earliest, an RFC 3339 time", start)
	}
	return t.UnixMilli(), nil
}
