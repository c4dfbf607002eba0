package main

import (
	"fmt"

	"vigil/demo"
)

// counts are what the metrics of processor and sink say, for the summary of the demo.
func (s *daemon) counts() (demo.Counts, error) {
	families, err := s.registry.Gather()
	if err != nil {
		return demo.Counts{}, fmt.Errorf("read the metrics: %w", err)
	}
	fires, skips := map[string]int{}, map[string]int{}
	var c demo.Counts
	for _, family := range families {
		for _, m := range family.GetMetric() {
			labels := map[string]string{}
			for _, l := range m.GetLabel() {
				labels[l.GetName()] = l.GetValue()
			}
			n := int(m.GetCounter().GetValue())
			switch {
			case n == 0:
			case family.GetName() == "vigil_sink_outcomes_total" && labels["outcome"] == "delivered":
				c.Delivered += n
			case family.GetName() != "vigil_decisions_total":
			case labels["reason"] == "fire":
				fires[labels["campaign"]] += n
			default:
				skips[labels["reason"]] += n
			}
		}
	}
	for name, n := range fires {
		c.Fires = append(c.Fires, demo.Count{Name: name, N: n})
	}
	for name, n := range skips {
		c.Skips = append(c.Skips, demo.Count{Name: name, N: n})
	}
	return c, nil
}
