package live

import (
	"errors"
	"fmt"
	"maps"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

const readWithin = 5 * time.Minute // a whole topic

// Abort writes records in a transaction that is aborted: nobody may ever see them. It returns when the markers are in
// the log too, which is a moment after the transaction has ended.
func (s *Stage) Abort(name string, records ...*kgo.Record) {
	s.T.Helper()
	ctx := s.Within(patience)
	cl := s.Connect(kgo.TransactionalID(s.Prefix+"-"+name), kgo.RecordPartitioner(kgo.ManualPartitioner()))
	defer cl.Close()
	if err := cl.BeginTransaction(); err != nil {
		s.T.Fatal(err)
	}
	if err := cl.ProduceSync(ctx, records...).FirstErr(); err != nil {
		s.T.Fatal(err)
	}
	if err := cl.EndTransaction(ctx, kgo.TryAbort); err != nil {
		s.T.Fatal(err)
	}
	s.Await("no transaction is open", patience, func() (bool, string) {
		stable, err := s.Adm.ListCommittedOffsets(ctx, s.Input)
		if err != nil {
			return false, err.Error()
		}
		ends := s.Ends()
		return maps.Equal(offsetsOf(stable), ends), fmt.Sprintf("stable to %v of %v", offsetsOf(stable), ends)
	})
}

// Ends are where the partitions of the input end now. One whose leader does not tell is asked for again.
func (s *Stage) Ends() map[int32]int64 {
	s.T.Helper()
	for ctx := s.Within(patience); ; <-time.After(lookEvery) {
		listed, err := s.Adm.ListEndOffsets(ctx, s.Input)
		if err = errors.Join(err, listed.Error()); err == nil {
			return offsetsOf(listed)
		}
		if ctx.Err() != nil {
			s.T.Fatal(err)
		}
	}
}

func offsetsOf(listed kadm.ListedOffsets) map[int32]int64 {
	at := map[int32]int64{}
	listed.Each(func(l kadm.ListedOffset) { at[l.Partition] = l.Offset })
	return at
}

// Committed is how far the processors have come, by partition.
func (s *Stage) Committed() map[int32]int64 {
	at := map[int32]int64{}
	offsets, err := s.Adm.FetchOffsets(s.Within(10*time.Second), s.Prefix+".processor")
	if err != nil {
		return at // the group's broker is busy electing; the next look tells
	}
	offsets.Each(func(o kadm.OffsetResponse) {
		if o.Topic == s.Input && o.At >= 0 {
			at[o.Partition] = o.At
		}
	})
	return at
}

// Read returns all committed records of a topic, as of now, in the order of their partitions.
func (s *Stage) Read(topic string) []*kgo.Record {
	s.T.Helper()
	records, err := ReadAll(s.Within(readWithin), s.Connect, topic)
	if err != nil {
		s.T.Fatal(err)
	}
	return records
}
