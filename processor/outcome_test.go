package processor_test

import (
	"fmt"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// The broker ends a transaction and its answer is an error that says nothing. The client takes that for an abort; what is
// committed is not decided once more.
func TestEndedWithAnErrorThatSaysNothing(t *testing.T) {
	s := newStage(t, onBuy)
	s.start(s.config("a"))
	s.send("ada", "buy", "e0", time.Now())
	s.fires(1)
	var hits atomic.Int32
	s.cluster.ControlKey(int16(kmsg.EndTxn), func(req kmsg.Request) (kmsg.Response, error, bool) {
		end := *req.(*kmsg.EndTxnRequest)
		if hits.Add(1) > 1 || !end.Commit {
			return nil, nil, false // that of the test itself
		}
		var err error
		s.cluster.SleepControl(func() {
			var resp *kmsg.EndTxnResponse
			if resp, err = end.RequestWith(s.t.Context(), s.client); err == nil {
				err = kerr.ErrorForCode(resp.ErrorCode)
			}
		})
		if err != nil {
			s.t.Error(err)
		}
		resp := req.ResponseKind().(*kmsg.EndTxnResponse)
		resp.ErrorCode = kerr.UnknownServerError.Code
		return resp, nil, true
	})
	var want []string
	want = append(want, fire("buy", "ada", "e0", ""))
	for i := range 5 {
		s.send("ada", "buy", fmt.Sprint("b", i), time.Now())
		want = append(want, fire("buy", "ada", fmt.Sprint("b", i), ""))
		s.fires(len(want))
	}
	slices.Sort(want)
	if diff := cmp.Diff(want, s.firesAndNoMore(len(want))); diff != "" {
		t.Error(diff)
	}
	if hits.Load() < 2 {
		t.Error("no transaction was ended")
	}
}
