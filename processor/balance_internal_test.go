package processor

import (
	"slices"
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// An input is added whose name comes first, while another member still reads the old one alone and has its partitions: who
// reads both gets those only once they were given up. Two at work on one partition would both decide.
func TestBalanceWaitsForTheOwner(t *testing.T) {
	sticky := kgo.CooperativeStickyBalancer()
	member := func(id string, owned map[string][]int32, topics ...string) kmsg.JoinGroupResponseMember {
		m := kmsg.NewJoinGroupResponseMember()
		m.MemberID, m.ProtocolMetadata = id, sticky.JoinGroupMetadata(topics, owned, 7)
		return m
	}
	told := func(members ...kmsg.JoinGroupResponseMember) map[string]map[string][]int32 {
		t.Helper()
		b, _, err := balancer([]string{"a", "b"}).MemberBalancer(members)
		if err != nil {
			t.Fatal(err)
		}
		plan, err := b.(kgo.GroupMemberBalancerOrError).BalanceOrError(map[string]int32{"a": 2, "b": 2})
		if err != nil {
			t.Fatal(err)
		}
		all := map[string]map[string][]int32{}
		for _, s := range plan.IntoSyncAssignment() {
			var share kmsg.ConsumerMemberAssignment
			if err := share.ReadFrom(s.MemberAssignment); err != nil {
				t.Fatal(err)
			}
			all[s.MemberID] = map[string][]int32{}
			for _, topic := range share.Topics {
				all[s.MemberID][topic.Topic] = slices.Sorted(slices.Values(topic.Partitions))
			}
		}
		return all
	}
	both := []int32{0, 1}
	got := told(member("new", nil, "a", "b"), member("old", map[string][]int32{"b": both}, "b"))
	if !slices.Equal(got["new"]["a"], both) || len(got["new"]["b"]) > 0 {
		t.Errorf("while the old one has b: %v", got)
	}
	got = told(member("new", map[string][]int32{"a": both}, "a", "b"), member("old", nil, "b"))
	if !slices.Equal(got["new"]["a"], both) || !slices.Equal(got["new"]["b"], both) {
		t.Errorf("once it was given up: %v", got)
	}
	// Who has it keeps it, whatever another one still believes to have.
	got = told(member("new", map[string][]int32{"a": both, "b": both}, "a", "b"), member("old", map[string][]int32{"b": both}, "b"))
	if !slices.Equal(got["new"]["b"], both) {
		t.Errorf("with a claim that is out of date: %v", got)
	}
}
