package stream

import (
	"math"

	"vigil/campaign"
	"vigil/replay/verify"
)

// verify compares all that stands on the topics with journal and inputs.
func (s *stage) verify(catalogs ...*campaign.Catalog) *verify.Report {
	s.t.Helper()
	client := s.connect()
	defer client.Close()
	report, err := verify.Run(s.t.Context(), verify.Config{
		Client: client, Topics: s.topics, Group: "vigil.processor", Catalogs: catalogs, From: math.MinInt64, To: math.MaxInt64,
	})
	s.must(err)
	return report
}

// honest wants a report of n fires that finds nothing and knows everything.
func (s *stage) honest(r *verify.Report, n int) {
	s.t.Helper()
	for _, d := range r.Differences {
		s.t.Errorf("%+v", d)
	}
	for _, d := range r.Unverifiable {
		s.t.Errorf("not known: %+v", d)
	}
	for _, note := range r.Notes {
		s.t.Errorf("not known: %+v", note)
	}
	if r.Equal != n {
		s.t.Errorf("%d fires are as they must be, want %d", r.Equal, n)
	}
}
