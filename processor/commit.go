package processor

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// The order of a commit, and what a crash leaves between every two steps:
//
//  1. records are processed in memory; the undo log keeps the old user records
//     crash: nothing was written, the next owner reads the same records again
//  2. user records go to vigil.state, fires to vigil.webhooks, the journal and dead letters to theirs, all in the open
//     transaction
//     crash: the transaction is aborted by its next owner or by its timeout; nobody reads it
//  3. the offsets join the transaction, with the generation of the group: a member that was evicted is refused here
//     crash: as before; the next owner waits for the outcome before it reads offsets
//  4. the transaction commits: from here on all of it is true
//     crash: the next owner restores from vigil.state and goes on behind the offsets
//  5. the undo log is dropped and the changed users wait for the checkpoint
//     crash: as before
//  6. later, by another goroutine, a checkpoint writes users to the store, and last the changelog offset they stand for
//     crash: rows newer than the offset are written once more by the tail of the changelog
//
// Every partition that produced anything has an offset in the transaction, also where no record was read: without one
// nobody would check the membership (streaming 4.4).

// endTimeout bounds the end of a transaction: behind it the broker is taken for gone.
const endTimeout = 2 * transactionTimeout

// stopTimeout is the same for the last transaction of a process that is asked to stop. What is not committed by then is
// done again by the next owner.
const stopTimeout = 10 * time.Second

// producedErrors keeps the first error of the records of a transaction.
type producedErrors struct {
	mu  sync.Mutex
	err error // guarded by mu
}

func (e *producedErrors) note(err error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.err == nil {
		e.err = err
	}
}

func (e *producedErrors) take() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	err := e.err
	e.err = nil
	return err
}

// commit ends the open transaction. Behind the time that it may take the broker is taken for gone.
func (s *session) commit(within time.Duration) error {
	began := time.Now()
	for _, part := range s.partitions {
		if part.moved {
			part.produce(s.kafka, &s.produced)
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), within)
	defer cancel()
	if err := s.flush(ctx); err != nil {
		return err
	}
	committed, err := s.kafka.End(kgo.PreTxnCommitFnContext(ctx, s.addOffsets), kgo.TryCommit)
	s.inTxn, s.moved = false, false
	s.load.ended()
	if err != nil {
		return fmt.Errorf("commit: %w", err)
	}
	if !committed {
		if err := s.undone(ctx); err != nil {
			return fmt.Errorf("commit: %w", err)
		}
		return s.aborted()
	}
	for _, part := range s.partitions {
		if part.moved {
			part.committedAll()
		}
	}
	s.metrics.commits.Inc()
	s.metrics.commitSeconds.Observe(time.Since(began).Seconds())
	return nil
}

// flush waits until every record is in the log. A record that is refused does not fail the transaction by itself: it is
// ended here, or offsets would pass over what was lost.
func (s *session) flush(ctx context.Context) error {
	err := s.kafka.Client().Flush(ctx)
	if err != nil {
		err = fmt.Errorf("%d records are left: %w", s.kafka.Client().BufferedProduceRecords(), errNotTaken)
	}
	if err = errors.Join(s.produced.take(), err); err == nil {
		return nil
	}
	s.inTxn = false
	_, aborted := s.kafka.End(ctx, kgo.TryAbort)
	return fmt.Errorf("write a transaction: %w", errors.Join(err, aborted))
}

// produce writes what the transaction changed.
func (p *partition) produce(kafka *kgo.GroupTransactSession, errs *producedErrors) {
	done := func(r *kgo.Record, err error) {
		if err != nil {
			errs.note(fmt.Errorf("produce to %s/%d: %w", r.Topic, r.Partition, err))
		}
	}
	logged := func(r *kgo.Record, err error) {
		if err != nil {
			if errors.Is(err, kerr.MessageTooLarge) && size(r) > p.topics.largest(r.Topic) { // a user cannot be left out
				err = fmt.Errorf("%w: the state of user %q: %w", errFatal, r.Key, err)
			}
			errs.note(fmt.Errorf("produce to %s/%d: %w", r.Topic, r.Partition, err))
			return
		}
		p.written.Store(r.Offset + 1) // of one partition, hence in order
	}
	p.states = p.states[:0]
	p.engine.Changes(func(key string, record []byte) {
		p.states = append(p.states, kgo.Record{Topic: p.cfg.Topics.State, Partition: p.id, Key: bytesOf(key), Value: record})
	})
	ctx := context.Background()
	for i := range p.states {
		kafka.Produce(ctx, &p.states[i], logged)
	}
	for _, r := range p.out {
		kafka.Produce(ctx, r, done)
	}
	if r := p.journalRecord(); r != nil {
		kafka.Produce(ctx, r, done)
	}
}

// addOffsets makes the offsets of the transaction those that were processed, for every partition that has anything in
// it.
func (s *session) addOffsets(req *kmsg.TxnOffsetCommitRequest) error {
	req.Topics = req.Topics[:0]
	for i, topic := range s.inputs {
		t := kmsg.NewTxnOffsetCommitRequestTopic()
		t.Topic = topic
		for _, part := range s.partitions {
			if !part.moved {
				continue
			}
			o := kmsg.NewTxnOffsetCommitRequestTopicPartition()
			o.Partition, o.Offset, o.Metadata = part.id, part.next[i], part.landmarks(s.topics.ids)
			t.Partitions = append(t.Partitions, o)
		}
		req.Topics = append(req.Topics, t)
	}
	return nil
}

// committedAll makes the transaction's work permanent in memory.
func (p *partition) committedAll() {
	p.engine.Commit()
	p.offset = p.written.Load()
	p.tail += int64(len(p.states))
	copy(p.committed, p.next)
	p.opening, p.aside = nil, nil
	if p.hindsight != nil && p.hindsight.grafted() {
		p.hindsight = nil
	}
	p.metrics.records.Add(float64(p.worked))
	stats := p.engine.Stats()
	p.metrics.counted(p.stats, stats)
	p.stats = stats
	p.clear()
}

// aborted undoes the transaction on all partitions and has the client read from the committed offsets again: those of ours, for
// the client takes all that was polled for committed, also what was held back.
func (s *session) aborted() error {
	s.metrics.aborts.Inc()
	s.rewind()
	for _, part := range s.partitions {
		clear(part.queue)
		clear(part.undecided)
		clear(part.known)
		copy(part.read, part.committed)
		part.lastRT, part.lastTopic = 0, 0
		if part.engine == nil {
			continue
		}
		part.engine.Rollback()
		part.written.Store(part.offset) // behind those that are refused another owner's may stand
		if part.hindsight != nil {
			part.hindsight.again()
			part.more = true // also where nothing comes for it
		}
		copy(part.next, part.committed)
		part.target, part.halfway = 0, false
		s.throttle(part)
		part.clear()
		part.setAside()
		if part.opening == nil {
			continue
		}
		if err := part.open(*part.opening); err != nil {
			return err
		}
	}
	s.cfg.Log.Info().Msg("transaction aborted, its work is undone")
	return nil
}

// rewind sets the client's positions to the committed offsets.
func (s *session) rewind() {
	offsets := map[string]map[int32]kgo.EpochOffset{}
	for i, topic := range s.inputs {
		offsets[topic] = map[int32]kgo.EpochOffset{}
		for id, part := range s.partitions {
			if part.committed[i] >= 0 {
				offsets[topic][id] = kgo.EpochOffset{Epoch: -1, Offset: part.committed[i]}
			}
		}
	}
	s.kafka.Client().SetOffsets(offsets)
}

func (p *partition) clear() {
	clear(p.out)
	p.out, p.outBytes, p.worked, p.moved, p.journal, p.jotted = p.out[:0], 0, 0, false, Entry{}, 0
	p.weighed = weighed{}
}
